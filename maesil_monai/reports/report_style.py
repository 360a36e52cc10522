"""How the report looks, by day and by night, on a screen and on paper."""

STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --soft: #5d6877; --page: #ffffff;
  --card: #f4f6f9; --line: #d9dfe7; --bar: #2f6fb3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6eaf0; --soft: #9aa6b5; --page: #12161c; --card: #1b212a; --line: #303946; --bar: #6aa5e0; } }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 36px 0 10px; }
p { color: var(--soft); margin: 4px 0 14px; max-width: 75ch; }
code { font-size: 0.92em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px; }
.tile { background: var(--card); border-radius: 8px; padding: 12px 14px; color: var(--soft); font-size: 13px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; color: var(--text); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
details { margin-top: 10px; }
summary { cursor: pointer; color: var(--soft); }
figure { margin: 0; }
figcaption { font-size: 13px; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 18px; }
.charts figure { background: var(--card); border-radius: 8px; padding: 12px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11px; }
svg rect { fill: var(--bar); }
svg .grid { stroke: var(--line); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px; }
.pictures img { width: 100%; border-radius: 6px; display: block; background: #000; }
.pictures figcaption { font-size: 12px; overflow-wrap: anywhere; }
@media print { body { background: none; } .tile, .charts figure { border: 1px solid var(--line); } }
""".strip()
