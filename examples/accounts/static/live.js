// Shows whether the session lives, as the server tells it.
const state = document.getElementById("state");
const events = new EventSource("/live/events");

const show = (name, text) => {
  document.body.dataset.live = name;
  state.textContent = text;
};

events.onmessage = () => show("on", "The session lives");
events.onerror = () => {
  const isLost = events.readyState === EventSource.CLOSED;
  show("lost", isLost ? "Not connected: load this page again" : "Not connected: trying again");
};
events.addEventListener("ended", () => {
  events.close();
  show("ended", "The session has ended");
});
