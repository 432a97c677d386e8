"""The API's HTTP surface: errors, security, middleware, documents and answers."""
