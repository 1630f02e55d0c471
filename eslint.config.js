import js from "@eslint/js";

const browser = [
  "AbortController", "AbortSignal", "CustomEvent", "DOMException", "Element", "FormData", "HTMLElement", "HTMLFormElement",
  "HTMLInputElement", "HTMLSelectElement", "HashChangeEvent", "Node", "ResizeObserver", "TextEncoder", "URL", "URLSearchParams",
  "addEventListener", "btoa", "clearTimeout", "devicePixelRatio", "dispatchEvent", "document", "fetch",
  "getComputedStyle", "history", "localStorage", "location", "matchMedia", "performance", "removeEventListener", "scrollTo",
  "sessionStorage", "setInterval", "setTimeout",
];

export default [
  { ignores: ["**/vendor/**", "**/.venv/**", "build/**", "htmlcov/**"] },
  js.configs.recommended,
  {
    languageOptions: { globals: Object.fromEntries(browser.map((name) => [name, "readonly"])) },
    linterOptions: { reportUnusedDisableDirectives: true },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", 200],
      "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write"].map((property) => ({ property, message: "Text is text: textContent." }))],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
