// The page as an app, where a server serves it; from the disk it is only a page.

import {$} from "./language.js";

export function install() {
  if (!isSecureContext || !location.protocol.startsWith("http")) return;
  const here = new URL(".", location).href;
  const manifest = {
    name: "A próxima palavra", lang: "pt-BR", start_url: here, scope: here, id: here,
    display: "standalone", background_color: "#f4f5f7", theme_color: "#f4f5f7",
    icons: [{src: $("icon").href, sizes: "any", type: "image/svg+xml"}],
  };
  const link = document.createElement("link");
  link.rel = "manifest";
  link.href = `data:application/manifest+json,${encodeURIComponent(JSON.stringify(manifest))}`;
  document.head.append(link);
  // A host may serve the page alone: then it needs the network.
  navigator.serviceWorker?.register("sw.js").catch(() => {});
}
