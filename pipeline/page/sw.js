// The service worker: keeps the page for when there is no network. The network comes first, so that a
// page that was exported again is seen at once.

const CACHE = `nextword ${registration.scope}`;
const isPage = url => [registration.scope, `${registration.scope}index.html`].includes(url);

addEventListener("install", event => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then(cache => cache.add("./")));
});
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  if (isPage(event.request.url.split(/[?#]/)[0])) event.respondWith(newest(event.request));
});

async function newest(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put("./", answer.clone());
    return answer;
  } catch {
    return await cache.match("./") ?? Response.error();
  }
}
