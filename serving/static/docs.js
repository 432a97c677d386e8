"use strict";
(async () => {
  // The API's root as the browser sees it, whatever proxy lies between.
  const root = new URL("..", document.querySelector("script[src$='static/docs.js']").src);
  const response = await fetch(new URL("openapi.json", root));
  const spec = { ...(await response.json()), servers: [{ url: root.pathname.replace(/\/$/, "") || "/" }] };
  SwaggerUIBundle({ spec, dom_id: "#docs", deepLinking: true, validatorUrl: null });
})();
