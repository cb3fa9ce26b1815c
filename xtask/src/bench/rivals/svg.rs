//! A plot as SVG: groups of horizontal bars on a logarithmic scale, for light and dark ground.

use std::fmt::Write as _;

/// A plot.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// Facts to know beside the title.
    pub(crate) subtitle: String,
    pub(crate) groups: Vec<Group>,
    /// Classes of bars and their colours on light and on dark ground.
    pub(crate) classes: Vec<(&'static str, [&'static str; 2])>,
    /// The text of a value.
    pub(crate) label: fn(f64) -> String,
}

/// Bars that belong together.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) title: String,
    /// The class that has its colour.
    pub(crate) class: &'static str,
    /// True if the bar stands out.
    pub(crate) strong: bool,
    /// More than 0.
    pub(crate) value: f64,
}

// All in pixels.
const WIDTH: f64 = 800.0;
const MARGIN: f64 = 24.0;
/// The left end of bars, with their titles to the left.
const LEFT: f64 = 218.0;
/// The rightmost end of the longest bar, with its value to the right.
const RIGHT: f64 = 716.0;
/// The top of the groups, below the titles and the numbers of the scale.
const TOP: f64 = 92.0;
const ROW: f64 = 16.0;
const BAR: f64 = 11.0;
const GROUP_TITLE: f64 = 24.0;
const GAP: f64 = 12.0;

const STYLE: &str = "\
text{font:11.5px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#57606a}
.ground{fill:#fff;stroke:#d8dee4}.grid{stroke:#e6eaef}.title{font-size:17px;font-weight:600;fill:#1f2328}
.group{font-size:13px;font-weight:600;fill:#1f2328}.strong{font-weight:600;fill:#1f2328}.scale{font-size:10.5px}
.value{font-variant-numeric:tabular-nums}";
const DARK: &str = "\
text{fill:#9198a1}.ground{fill:#0d1117;stroke:#30363d}.grid{stroke:#21262d}.title,.group,.strong{fill:#f0f6fc}";

impl Plot {
    /// The plot as a document of its own.
    pub(crate) fn render(&self) -> String {
        let rows: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let groups = self.groups.len() as f64;
        let bottom = TOP + rows as f64 * ROW + groups * (GROUP_TITLE + GAP);
        let height = bottom + MARGIN - GAP / 2.0;
        let scale = Scale::of(self.groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value));
        let mut svg = Svg::default();
        svg.line(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
        ));
        svg.line(format_args!("<title>{}</title>", escaped(&self.title)));
        svg.line(format_args!("<style>\n{STYLE}{}", self.colours(0)));
        svg.line(format_args!("@media (prefers-color-scheme:dark){{{DARK}{}}}\n</style>", self.colours(1)));
        svg.line(format_args!(
            r#"<rect class="ground" x=".5" y=".5" width="{}" height="{}" rx="8"/>"#,
            WIDTH - 1.0,
            height - 1.0
        ));
        svg.text("title", "start", MARGIN, 34.0, &self.title);
        svg.text("", "start", MARGIN, 54.0, &self.subtitle);
        for decade in scale.decades() {
            let x = scale.x(decade);
            svg.line(format_args!(r#"<path class="grid" d="M{x:.1} {TOP}V{bottom:.1}"/>"#));
            svg.text("scale", "middle", x, TOP - 8.0, &round(&(self.label)(decade)));
        }
        let mut y = TOP;
        for group in &self.groups {
            y += GROUP_TITLE;
            svg.line(format_args!(
                r#"<text x="{MARGIN}" y="{:.1}"><tspan class="group">{}</tspan><tspan dx="8">{}</tspan></text>"#,
                y - 7.0,
                escaped(&group.title),
                escaped(&group.subtitle)
            ));
            for bar in &group.bars {
                self.bar(&mut svg, bar, y, scale.x(bar.value));
                y += ROW;
            }
            y += GAP;
        }
        svg.line(format_args!("</svg>"));
        svg.0
    }

    fn bar(&self, svg: &mut Svg, bar: &Bar, y: f64, end: f64) {
        // The scale has no zero: a bar at its very beginning is still to be seen.
        let length = (end - LEFT).max(2.0);
        let base = y + ROW / 2.0 + 4.0;
        let strong = if bar.strong { " strong" } else { "" };
        svg.text(strong.trim_start(), "end", LEFT - 8.0, base, &bar.title);
        svg.line(format_args!(
            r#"<rect class="{}" x="{LEFT}" y="{:.1}" width="{length:.1}" height="{BAR}" rx="2"/>"#,
            bar.class,
            y + (ROW - BAR) / 2.0
        ));
        svg.text(&format!("value{strong}"), "start", LEFT + length + 6.0, base, &(self.label)(bar.value));
    }

    /// The colours of all classes, on light ground or on dark.
    fn colours(&self, ground: usize) -> String {
        self.classes.iter().map(|(class, colours)| format!(".{class}{{fill:{}}}", colours[ground])).collect()
    }
}

/// A logarithmic scale from one power of ten to another.
struct Scale {
    first: i32,
    last: i32,
}

impl Scale {
    /// One that has room for these values.
    fn of(values: impl Iterator<Item = f64>) -> Scale {
        let (least, most) = values.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
        if least > most {
            return Scale { first: 0, last: 1 };
        }
        let first = least.log10().floor() as i32;
        Scale { first, last: (most.log10().ceil() as i32).max(first + 1) }
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|power| 10_f64.powi(power))
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        LEFT + share * (RIGHT - LEFT)
    }
}

/// The document as it grows.
#[derive(Default)]
struct Svg(String);

impl Svg {
    fn line(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{what}").expect("a String takes everything");
    }

    fn text(&mut self, class: &str, anchor: &str, x: f64, y: f64, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        let text = escaped(text);
        self.line(format_args!(r#"<text{class} x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#));
    }
}

/// A number of the scale without decimals, which are all zeros.
fn round(label: &str) -> String {
    label.replace(".00", "").replace(".0", "")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_spans_the_values() {
        let scale = Scale::of([16_000.0, 680e6].into_iter());
        assert_eq!((scale.first, scale.last), (4, 9));
        assert_eq!(scale.decades().count(), 6);
        assert!((scale.x(1e4) - LEFT).abs() < 1e-6 && (scale.x(1e9) - RIGHT).abs() < 1e-6);
        let one = Scale::of([10.0].into_iter());
        assert_eq!((one.first, one.last), (1, 2), "one value still has a scale");
        assert_eq!(Scale::of([].into_iter()).decades().count(), 2);
    }

    #[test]
    fn a_plot_has_its_bars_for_both_grounds() {
        let bar = Bar { title: "a < b".to_owned(), class: "us", strong: true, value: 100.0 };
        let plot = Plot {
            title: "T".to_owned(),
            subtitle: String::new(),
            groups: vec![Group { title: "G".to_owned(), subtitle: "&".to_owned(), bars: vec![bar] }],
            classes: vec![("us", ["#111", "#eee"])],
            label: |value| format!("{value:.2} B"),
        };
        let svg = plot.render();
        for expected in [
            ".us{fill:#111}",
            ".us{fill:#eee}",
            "a &lt; b",
            ">100.00 B</text>",
            ">1000 B</text>",
            "&amp;</tspan>",
        ] {
            assert!(svg.contains(expected), "{expected} is not in\n{svg}");
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
