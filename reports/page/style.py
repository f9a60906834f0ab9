"""The style sheet of the page: light, dark and print."""

CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #5b636d; --grid: #dcdfe3; --card: #f6f7f8;
  --good: #00694d; --bad: #b34700; --note: #0060a0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8eaed; --soft: #a3abb5; --grid: #3a4048; --card: #1d2126;
  --good: #3ecf9f; --bad: #ff9152; --note: #6fbdf0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--grid); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; max-width: 60rem; }
nav { margin: .8rem 0; font-size: .85rem; }
nav a { margin-right: .9rem; white-space: nowrap; }
a { color: var(--note); }
.verdict { font-size: 1.15rem; font-weight: 650; margin: .3rem 0; }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { text-align: left; padding: .22rem .9rem .22rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { font-weight: 600; color: var(--soft); } td.n, th.n { text-align: right; white-space: nowrap; }
td.long { overflow-wrap: anywhere; min-width: 12rem; }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--card); padding: .6rem .8rem; overflow-x: auto; margin: .5rem 0; }
figure { margin: .8rem 0; overflow-x: auto; } figcaption { position: sticky; left: 0; color: var(--soft); font-size: .82rem; }
figure > svg { width: 100%; min-width: 46rem; height: auto; display: block; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: "DejaVu Sans", Verdana, "Helvetica Neue", Arial, sans-serif; }
.message { border-left: .3rem solid var(--soft); background: var(--card); padding: .5rem .8rem; margin: .5rem 0; max-width: 62rem; }
.message ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.error { border-color: var(--bad); } .error b { color: var(--bad); } .warning { border-color: #e69f00; } .advice { border-color: var(--note); } .note { border-color: var(--soft); }
summary { cursor: pointer; color: var(--note); font-size: .88rem; }
@media screen and (max-width: 48rem) { body { padding: 1rem; } th:not(.n), td:not(.n) { min-width: 7rem; } td.long { min-width: 12rem; } }
@media print {
  :root { color-scheme: light; --paper: #ffffff; --ink: #000000; --soft: #444444; --grid: #cccccc; --card: #ffffff; --good: #004d38;
    --bad: #8a3600; --note: #003d66; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; } h2, h3, summary { break-after: avoid; }
  figure, tr, .message { break-inside: avoid; } .wide, pre { overflow: visible; } pre { white-space: pre-wrap; border: 1px solid var(--grid); }
  section > .wide { break-inside: avoid; } figure { overflow: visible; }
  figure > svg { min-width: 0; max-height: 88vh; }
  details::details-content { content-visibility: visible; block-size: auto; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
