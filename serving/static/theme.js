// Before the first paint: the theme chosen earlier, otherwise the system's.
"use strict";
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("voltick-theme");
  } catch {
    // Storage is refused: the system's theme it is.
  }
  if (chosen === "dark" || chosen === "light") {
    document.documentElement.dataset.theme = chosen;
  }
})();
