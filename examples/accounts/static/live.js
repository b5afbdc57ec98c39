// Shows whether the session is active, by server-sent events.
const state = document.getElementById("state");
const events = new EventSource("/live/events");

const show = (name, text) => {
  document.body.dataset.live = name;
  state.textContent = text;
};

events.onmessage = () => show("on", "The session is active");
events.onerror = () => {
  const isLost = events.readyState === EventSource.CLOSED;
  show("lost", isLost ? "Connection lost. Reload this page." : "Connection lost. Reconnecting…");
};
events.addEventListener("ended", () => {
  events.close();
  show("ended", "The session has ended");
});
