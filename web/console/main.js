import { applyTheme } from "../app/theme.js";
import { onElsewhere } from "../app/tokens.js";
import { html, render } from "../app/ui.js";
import { Console } from "./console.js";
import { Root } from "./views/root.js";

applyTheme();
const desk = new Console();
onElsewhere(() => void desk.start());
await desk.start();
const place = document.getElementById("app");
if (place) render(html`<${Root} desk=${desk} />`, place);
