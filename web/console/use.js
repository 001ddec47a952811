import { useApp } from "../app/ui.js";

/** The console that views show. @returns {import("./console.js").Console} */
export const useDesk = () => /** @type {any} */ (useApp());
