// What the reader of the run sees: a paragraph for each step, with what is done, what happened and what to do next.
const WIDTH = 100;
const INDENT = "  ";

function wrapped(label, text) {
  const lines = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && INDENT.length + label.length + line.length + word.length >= WIDTH) {
      lines.push(line);
      line = "";
    }
    line += (line && " ") + word;
  }
  lines.push(line);
  return lines.map((each, at) => `${INDENT}${at === 0 ? label : " ".repeat(label.length)}${each}`).join("\n");
}

export function title(text) {
  console.log(process.stdout.isTTY ? `\n\u001b[1m${text}\u001b[0m` : `\n${text}`);
}

export function what(text) {
  console.log(wrapped("what  ", text));
}

export function saw(text) {
  console.log(wrapped("saw   ", text));
}

// `section` is an anchor of docs/CLOUDFLARE.md.
export function next(text, section) {
  console.log(wrapped("next  ", `${text} (docs/CLOUDFLARE.md#${section})`));
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(count, 1)) / 3)));
  return at === 0 ? `${count} bytes` : `${(count / 1000 ** at).toFixed(1)} ${units[at]}`;
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
