"""The API's HTTP surface: errors, security, middleware, request bodies, the OpenAPI document.

``views`` are the bodies of the answers. They evolve as messages do: by new fields alone, since
clients of older versions read them.
"""
