// Graphs of templates/history/_graphs.html: lines from REST, drawn by uPlot, moving while somebody looks.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { bitRate, byteRate, clock, percent, size } from "./format.js";

const SOONEST_S = 10;
const LATEST_S = 120;
const TABLE_ROWS = 24;
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const figure = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const percents = (value) => (value > 0 && value < 10 ? `${figure.format(value)} %` : percent(value));
const UNITS = {
  percent: percents,
  bytes: size,
  byte_rate: byteRate,
  bit_rate: bitRate,
  per_s: (value) => `${figure.format(value)} /s`,
  number: (value) => figure.format(value),
};
const POWERS = Array.from({ length: 60 }, (_, exponent) => 2 ** exponent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const shown = (unit, value) => (value == null ? "—" : UNITS[unit](value));
const last = (values) => values.slice(-3).findLast((value) => value != null);
const known = (values) => values.filter((value) => value != null);
const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
const highest = (values) => (values.length ? values.reduce((a, b) => Math.max(a, b)) : null);

/** The time below the axis, and the one in tables: as fine as the range is. */
function moment(range, seconds) {
  const when = new Date(seconds * 1000);
  if (range === "hour" || range === "day") return clock(when).slice(0, range === "hour" ? 8 : 5);
  const day = when.toLocaleDateString(language, { day: "numeric", month: "short" });
  return range === "week" ? `${day} ${clock(when).slice(0, 5)}` : day;
}

function tick(range, seconds) {
  const when = new Date(seconds * 1000);
  if (range === "hour" || range === "day") return clock(when).slice(0, 5);
  if (range === "year") return when.toLocaleDateString(language, { month: "short" });
  return when.toLocaleDateString(language, { day: "numeric", month: "short" });
}

class Graph {
  constructor(element, range) {
    this.element = element;
    this.range = range;
    this.unit = element.dataset.unit;
    this.top = Number(element.dataset.top) || null;
    this.lines = [...element.querySelectorAll("[data-line]")];
    this.holder = element.querySelector("[data-plot]");
    this.head = element.querySelector("[data-when]");
    this.now = this.head.textContent;
    this.data = [];
    this.plot = null;
    element.querySelector("[data-values]").addEventListener("toggle", () => this.fillTable());
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.holder);
  }

  size() {
    return { width: Math.max(120, this.holder.clientWidth - 16), height: 146 };
  }

  /** `history` as REST gives it. */
  show(history) {
    const series = this.lines.map((line) => history.series[line.dataset.line]);
    const times = series[0].average.map((_, n) => history.start + n * history.step_s);
    this.hasPeaks = series[0].maximum.length > 0;
    const peaks = this.hasPeaks ? series.map((each) => each.maximum) : [];
    this.data = [times, ...series.map((each) => each.average), ...peaks];
    this.lines.forEach((line, n) => {
      const average = known(series[n].average);
      this.write(line, "newest", last(series[n].average));
      this.write(line, "average", mean(average));
      this.write(line, "highest", highest(this.hasPeaks ? known(series[n].maximum) : average));
    });
    if (this.plot) this.plot.setData(this.data);
    else this.plot = new uPlot(this.options(), this.data, this.holder);
    this.fillTable();
  }

  write(line, name, value) {
    line.querySelector(`[data-figure="${name}"]`).textContent = shown(this.unit, value);
  }

  options() {
    const binary = this.unit === "bytes" || this.unit === "byte_rate";
    const stroke = (line) => () => colour(`--kw-c${line.dataset.colour}`);
    const lines = this.lines.map((line) => ({ stroke: stroke(line), width: 1.5, points: { show: false } }));
    const peaks = this.hasPeaks ? this.lines.map(() => ({ points: { show: false } })) : [];
    const count = this.lines.length;
    return {
      ...this.size(),
      series: [{}, ...lines, ...peaks],
      bands: peaks.map((_, n) => ({
        series: [1 + count + n, 1 + n],
        fill: () => `${colour(`--kw-c${this.lines[n].dataset.colour}`)}28`, // the tokens are six hexadecimal digits
      })),
      scales: { y: { range: (_plot, _low, high) => [0, this.top ?? Math.max(high * 1.1, binary ? 1024 : 1)] } },
      axes: [
        {
          stroke: () => colour("--kw-muted"),
          grid: { stroke: () => colour("--kw-line"), width: 1 },
          ticks: { show: false },
          size: 26,
          space: 64,
          values: (_plot, splits) => splits.map((seconds) => tick(this.range, seconds)),
        },
        {
          stroke: () => colour("--kw-muted"),
          grid: { stroke: () => colour("--kw-line"), width: 1 },
          ticks: { show: false },
          size: 74,
          space: 32,
          ...(binary ? { incrs: POWERS } : {}),
          values: (_plot, splits) => splits.map((value) => shown(this.unit, value)),
        },
      ],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, sync: { key: "graphs" } },
      hooks: { setCursor: [(plot) => this.point(plot.cursor.idx)] },
    };
  }

  /** The first column of figures is of the time below the pointer, else of now. */
  point(index) {
    const at = index == null ? null : this.data[0][index];
    this.head.textContent = at == null ? this.now : moment(this.range, at);
    this.lines.forEach((line, n) => {
      this.write(line, "newest", at == null ? last(this.data[n + 1]) : this.data[n + 1][index]);
    });
  }

  leave() {
    if (this.plot?.cursor.idx != null) this.plot.setCursor({ left: -10, top: -10 });
  }

  /** The same as a table, a row for each twenty-fourth of the time: for those who cannot see the lines. */
  fillTable() {
    const details = this.element.querySelector("[data-values]");
    if (!details.open || !this.data.length) return;
    const [times, ...values] = this.data;
    const step = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
    const rows = [];
    for (let begin = 0; begin < times.length; begin += step) {
      const row = document.createElement("tr");
      const time = Object.assign(document.createElement("th"), { scope: "row" });
      time.textContent = moment(this.range, times[begin]);
      row.append(time);
      for (const line of this.lines.keys()) {
        const cell = Object.assign(document.createElement("td"), { className: "num" });
        cell.textContent = shown(this.unit, mean(known(values[line].slice(begin, begin + step))));
        row.append(cell);
      }
      rows.unshift(row);
    }
    details.querySelector("tbody").replaceChildren(...rows);
  }
}

class Graphs {
  constructor(element) {
    this.element = element;
    const { graphs, range } = element.dataset;
    this.graphs = [...element.querySelectorAll("[data-graph]")].map((each) => new Graph(each, range));
    const names = this.graphs.flatMap((graph) => graph.lines.map((line) => line.dataset.line));
    this.url = `${graphs}?range=${range}&series=${names.join(",")}`;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.refresh();
    });
    // Lines that were put elsewhere below the pointer do not hear that it leaves.
    document.addEventListener("mouseover", ({ target }) => {
      if (!target.closest(".u-over")) this.graphs.forEach((graph) => graph.leave());
    });
    new MutationObserver(() => this.graphs.forEach((graph) => graph.plot?.redraw())).observe(
      document.documentElement, { attributeFilter: ["data-bs-theme"] },
    );
    this.refresh();
  }

  async refresh() {
    clearTimeout(this.timer);
    if (document.hidden || !this.element.isConnected) return;
    let wait = SOONEST_S;
    try {
      const response = await fetch(this.url, { headers: { Accept: "application/json" } });
      if (response.status === 401 || response.status === 404) return;
      if (response.ok) {
        const history = await response.json();
        wait = Math.min(LATEST_S, Math.max(SOONEST_S, history.step_s));
        this.show(history);
      }
    } catch {
      // kvmweb is away: the page says so, and the lines go on when it is back
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), wait * 1000);
  }

  show(history) {
    const isEmpty = Object.values(history.series).every((each) => each.average.every((value) => value == null));
    this.element.querySelector("[data-graphs-empty]").hidden = !isEmpty;
    this.element.querySelector("[data-graphs-shown]").hidden = isEmpty;
    if (!isEmpty) this.graphs.forEach((graph) => graph.show(history));
    this.element.querySelector("[data-graphs-at]").textContent = clock();
  }
}

for (const element of document.querySelectorAll("[data-graphs]")) new Graphs(element);
