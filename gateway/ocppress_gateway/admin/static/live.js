// Replaces what says where its news comes from (data-live), unless somebody is at it with the keyboard.
"use strict";
for (const place of document.querySelectorAll("[data-live]")) {
  const news = new EventSource(place.dataset.live);
  news.onmessage = (event) => {
    if (!place.contains(document.activeElement)) place.innerHTML = event.data;
  };
  addEventListener("pagehide", () => news.close());
}
