// What a page may try with a service that is not its own. Each attempt says how it comes, and gives what the page sees of the answer.

const message = (how) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: "knock", params: [how] });

const seen = async (response) => {
  const { type, status } = await response;
  return { type, status };
};

/** As no page has to ask for: the browser sends it unasked, and hides the answer. */
export const plain = (url) => seen(fetch(url, { method: "POST", body: message("plain") }));

/** The same, where the page does without the answer. It may not say that this is JSON, and tries. */
export const blind = (url) => {
  const headers = { "content-type": "application/json" };
  return seen(fetch(url, { method: "POST", mode: "no-cors", headers, body: message("blind") }));
};

/** A form whose only field makes JSON. */
export const form = async (url) => {
  const frame = document.createElement("iframe");
  frame.name = "frame";
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", enctype: "text/plain", action: url, target: "frame" });
  const field = document.createElement("input");
  // What is sent is the name, `=`, and the value.
  [field.name, field.value] = [message("form").slice(0, -1) + ',"x":"', '"}'];
  form.append(field);
  document.body.append(frame, form);
  const loaded = new Promise((resolve) => (frame.onload = resolve));
  form.submit();
  await loaded;
  frame.remove();
  form.remove();
  return "loaded";
};

/** As a client does. The browser asks the server first whether this page may. */
export const json = (url) => {
  const headers = { "content-type": "application/json" };
  return seen(fetch(url, { method: "POST", headers, body: message("json") }));
};

/** The browser asks nobody. */
export const socket = (url) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onopen = () => socket.send(message("socket"));
    socket.onmessage = ({ data }) => resolve(JSON.parse(data).result);
    socket.onclose = ({ code }) => resolve(`closed: ${code}`);
  });

/** From a frame that has no origin of its own: the browser says `null`. */
const unnamed = (attempt) => (url) =>
  new Promise((resolve, reject) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>
      const message = ${message};
      const seen = ${seen};
      (${attempt})("${url}").then(
        (result) => parent.postMessage({ result }, "*"),
        ({ message }) => parent.postMessage({ message }, "*"),
      );
    </script>`;
    const told = ({ data: { result, message } }) => {
      frame.remove();
      message ? reject(new TypeError(message)) : resolve(result);
    };
    addEventListener("message", told, { once: true });
    document.body.append(frame);
  });

export const unnamed_json = unnamed(json);
export const unnamed_socket = unnamed(socket);
