// The address holds all that a page shows: `#/runs?where=…&sel=1-3,7`. Back brings it back.

export function read() {
  const text = location.hash.replace(/^#\/?/, "");
  const [path, query = ""] = text.split(/\?(.*)/s);
  const [page, ...rest] = path.split("/");
  return { page: page || "runs", rest: rest.map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
}

export function make(page, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  const text = kept.map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%20/g, "+")}`).join("&");
  return `#/${page}${text ? `?${text}` : ""}`;
}

/** Change what the address says, without drawing the page anew; `step`: so that Back undoes it. */
export function note(changes, step = true) {
  const { page, rest, query } = read();
  const address = make([page, ...rest.map(encodeURIComponent)].join("/"), { ...query, ...changes });
  if (address === location.hash) return;
  try {
    history[step ? "pushState" : "replaceState"](null, "", address);
  } catch { /* a report within a notebook has no address of its own */ }
}

/** Runs in few letters: [1,2,3,7] is "1-3,7". */
export function ranges(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts = [];
  for (const number of sorted) {
    const last = parts[parts.length - 1];
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(",");
}

export function numbersOf(text) {
  const numbers = [];
  for (const part of (text || "").split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!match) continue;
    const end = Math.min(Number(match[2] || match[1]), Number(match[1]) + 9999);
    for (let n = Number(match[1]); n <= end; n += 1) numbers.push(n);
  }
  return numbers;
}
