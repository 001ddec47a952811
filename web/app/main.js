import { App } from "./app.js";
import { applyTheme } from "./theme.js";
import { onElsewhere } from "./tokens.js";
import { html, render } from "./ui.js";
import { Root } from "./views/root.js";

applyTheme();
const app = new App();
onElsewhere(() => void app.start());
await app.start();
const place = document.getElementById("app");
if (place) render(html`<${Root} app=${app} />`, place);
