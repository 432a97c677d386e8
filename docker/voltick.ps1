<#
.SYNOPSIS
Voltick in containers, by Compose or on a local cluster.

.DESCRIPTION
  docker/voltick.ps1 [-Cluster] [-Full] [-Overlay NAME] [-Yes] COMMAND [SERVICE ...]

  up              build the image, start what is missing, wait until it answers
  update SERVICE  build the image anew and replace this service alone
  pause, resume   hold services still, and let them go on where they were
  stop            end all processes; data stay, and `up` goes on with them
  delete          end all of it and delete its data; asks first, unless -Yes
  status          what runs, and how well
  logs            the newest lines, and those to come
  repair          start anew what is unhealthy or has ended
  port-forward    the addresses on this machine

  -Cluster   the cluster of kubectl's context instead of Compose
  -Full      up, repair: not the core alone (Compose)
  -Overlay   of docker/kubernetes/overlays: local unless another is named

Needs docker with its compose plugin, or kubectl. It does what docker/voltick.sh does.

.EXAMPLE
docker/voltick.ps1 -Full up
#>
[CmdletBinding()]
param(
    [switch] $Cluster,
    [switch] $Full,
    [switch] $Yes,
    [string] $Overlay = 'local',
    [Parameter(Mandatory, Position = 0)]
    [ValidateSet('up', 'update', 'pause', 'resume', 'stop', 'delete', 'status', 'logs', 'repair', 'port-forward')]
    [string] $Command,
    [Parameter(Position = 1, ValueFromRemainingArguments)]
    [string[]] $Services = @()
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Here = $PSScriptRoot
$Namespace = 'voltick'
$Forwarded = [ordered]@{ 'api' = 8000; 'grafana' = 3000; 'prometheus' = 9090; 'mlflow' = 5001; 'kafka-ui' = 8080 }

# A program that fails ends the script, as an error of PowerShell does.
function Invoke-Program {
    param([string] $Program, [string[]] $Arguments)
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program $($Arguments -join ' ') ended with $LASTEXITCODE" }
}

function Invoke-Compose {
    param([string[]] $Arguments)
    Invoke-Program 'docker' (@('compose', '-f', "$Here/compose.yaml") + $Arguments)
}

# All profiles: what was started by another one is meant, too.
function Invoke-ComposeAll {
    param([string[]] $Arguments)
    Invoke-Compose (@('--profile', 'full', '--profile', 'alerts') + $Arguments)
}

function Invoke-OnCluster {
    param([string[]] $Arguments)
    Invoke-Program 'kubectl' (@('--namespace', $Namespace) + $Arguments)
}

function Build-Image {
    Invoke-Program 'docker' @('build', '-f', "$Here/Dockerfile", '-t', 'voltick:local', "$Here/..")
}

function Confirm-Deletion {
    if ($Yes) { return }
    $where = if ($Cluster) { " from $Context" } else { '' }
    $answer = Read-Host "Delete Voltick with its log, models and archive$where? Type yes"
    if ($answer -ne 'yes') { throw 'nothing was deleted' }
}

function Assert-OneService {
    if ($Services.Count -ne 1) { throw 'update takes one service' }
}

# A local cluster does not see the images of this machine's engine.
function Import-Image {
    if ($Context -like 'kind-*') {
        Invoke-Program 'kind' @('load', 'docker-image', 'voltick:local', '--name', $Context.Substring(5))
    }
    elseif ($Context -eq 'minikube') {
        Invoke-Program 'minikube' @('image', 'load', 'voltick:local')
    }
    elseif ($Context -like 'k3d-*') {
        Invoke-Program 'k3d' @('image', 'import', 'voltick:local', '--cluster', $Context.Substring(4))
    }
}

# Names of Deployments: those that were asked for, or all.
function Get-Deployment {
    if ($Services.Count -gt 0) { return @($Services | ForEach-Object { "deployment/$_" }) }
    return @(Invoke-OnCluster @('get', 'deployments', '--output', 'name'))
}

function Get-StatefulSet {
    return @(Invoke-OnCluster @('get', 'statefulsets', '--output', 'name'))
}

# As many pods as before a pause are remembered where they are asked for.
function Set-ScaleDown {
    param([string[]] $Names)
    foreach ($each in $Names) {
        $count = Invoke-OnCluster @('get', $each, '--output', 'jsonpath={.spec.replicas}')
        if ($count -eq '0') { continue }
        Invoke-OnCluster @('annotate', $each, '--overwrite', "voltick.io/replicas=$count")
        Invoke-OnCluster @('scale', $each, '--replicas', '0')
    }
}

function Set-ScaleUp {
    param([string[]] $Names)
    foreach ($each in $Names) {
        $count = Invoke-OnCluster @('get', $each, '--output', 'jsonpath={.metadata.annotations.voltick\.io/replicas}')
        if ($count) { Invoke-OnCluster @('scale', $each, '--replicas', $count) }
    }
}

function Set-TrainingSuspended {
    param([string] $Value)
    foreach ($each in @(Invoke-OnCluster @('get', 'cronjobs', '--output', 'name'))) {
        $patch = '{"spec":{"suspend":' + $Value + '}}'
        # Before 7.3 PowerShell loses the quotes of an argument for a program.
        if ($PSVersionTable.PSVersion -lt [version] '7.3') { $patch = $patch.Replace('"', '\"') }
        Invoke-OnCluster @('patch', $each, '--patch', $patch)
    }
}

function Invoke-ByCompose {
    $chosen = if ($Full) { @('--profile', 'full') } else { @() }
    switch ($Command) {
        'up' { Invoke-Compose ($chosen + @('up', '--build', '--detach', '--wait') + $Services) }
        'update' {
            Assert-OneService
            Invoke-ComposeAll (@('build') + $Services)
            Invoke-ComposeAll (@('up', '--detach', '--wait', '--no-deps') + $Services)
        }
        'pause' { Invoke-ComposeAll (@('pause') + $Services) }
        'resume' { Invoke-ComposeAll (@('unpause') + $Services) }
        'stop' { Invoke-ComposeAll (@('stop') + $Services) }
        'delete' {
            Confirm-Deletion
            Invoke-ComposeAll @('down', '--volumes', '--remove-orphans')
        }
        'status' { Invoke-ComposeAll (@('ps', '--all') + $Services) }
        'logs' { Invoke-ComposeAll (@('logs', '--tail', '200', '--follow') + $Services) }
        'repair' {
            $ill = @(Invoke-Program 'docker' @('ps', '--filter', 'health=unhealthy', '--filter', 'label=com.docker.compose.project=voltick', '--quiet'))
            if ($ill.Count -gt 0) { Invoke-Program 'docker' (@('restart') + $ill) }
            Invoke-Compose ($chosen + @('up', '--detach', '--wait', '--no-build'))
        }
        'port-forward' {
            'published on the loopback interface, as far as they run:'
            $Forwarded.Values | ForEach-Object { "http://127.0.0.1:$_" }
        }
    }
}

function Invoke-ByCluster {
    switch ($Command) {
        'up' {
            if ($Overlay -eq 'local') { Build-Image; Import-Image }
            Invoke-Program 'kubectl' @('apply', '--kustomize', "$Here/kubernetes/overlays/$Overlay")
            Set-ScaleUp (@(Get-Deployment) + @(Get-StatefulSet))
            Set-TrainingSuspended 'false'
            Invoke-OnCluster (@('wait', '--for', 'condition=Available', '--timeout', '10m') + @(Get-Deployment))
        }
        'update' {
            Assert-OneService
            if ($Overlay -eq 'local') { Build-Image; Import-Image }
            Invoke-OnCluster @('rollout', 'restart', "deployment/$($Services[0])")
            Invoke-OnCluster @('rollout', 'status', "deployment/$($Services[0])", '--timeout', '10m')
        }
        'pause' { Set-ScaleDown (Get-Deployment) }
        'resume' { Set-ScaleUp (Get-Deployment) }
        'stop' {
            if ($Services.Count -gt 0) { Set-ScaleDown (Get-Deployment); return }
            Set-TrainingSuspended 'true'
            Set-ScaleDown (@(Get-Deployment) + @(Get-StatefulSet))
        }
        'delete' {
            Confirm-Deletion
            Invoke-Program 'kubectl' @('delete', '--kustomize', "$Here/kubernetes/overlays/$Overlay")
        }
        'status' { Invoke-OnCluster @('get', 'deployments,statefulsets,cronjobs,horizontalpodautoscalers,pods') }
        'logs' {
            $which = if ($Services.Count -gt 0) { "app.kubernetes.io/name=$($Services[0])" } else { 'app.kubernetes.io/part-of=voltick' }
            Invoke-OnCluster @('logs', '--selector', $which, '--all-containers', '--prefix', '--tail', '200', '--follow', '--max-log-requests', '50')
        }
        'repair' {
            Invoke-OnCluster @('delete', 'pods', '--field-selector', 'status.phase=Failed')
            foreach ($each in @(Get-Deployment)) {
                $missing = Invoke-OnCluster @('get', $each, '--output', 'jsonpath={.status.unavailableReplicas}')
                if ($missing) { Invoke-OnCluster @('rollout', 'restart', $each) }
            }
        }
        'port-forward' {
            $there = @(Invoke-OnCluster @('get', 'services', '--output', 'name'))
            $running = @()
            try {
                foreach ($name in $Forwarded.Keys) {
                    if ($there -notcontains "service/$name") { continue }
                    $port = $Forwarded[$name]
                    $words = @('--namespace', $Namespace, 'port-forward', '--address', '127.0.0.1', "service/$name", "$port")
                    $running += Start-Process -FilePath 'kubectl' -ArgumentList $words -PassThru -NoNewWindow
                    "${name}: http://127.0.0.1:$port"
                }
                if ($running.Count -gt 0) { $running | Wait-Process }
            }
            finally {
                $running | Where-Object { -not $_.HasExited } | Stop-Process
            }
        }
    }
}

if (-not (Test-Path "$Here/kubernetes/overlays/$Overlay")) { throw "there is no overlay $Overlay" }
$program = if ($Cluster) { 'kubectl' } else { 'docker' }
if (-not (Get-Command $program -ErrorAction SilentlyContinue)) { throw "$program is not installed" }
$Context = ''
if ($Cluster) {
    $Context = kubectl config current-context
    if ($LASTEXITCODE -ne 0) {
        throw 'kubectl has no context: start a cluster, such as by kind create cluster, or kubectl config use-context'
    }
    [Console]::Error.WriteLine("voltick: on the cluster of kubectl's context $Context")
}
else {
    docker compose version | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'docker has no compose plugin: https://docs.docker.com/compose/install/' }
}
if ($Cluster) { Invoke-ByCluster } else { Invoke-ByCompose }
