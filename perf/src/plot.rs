//! Two kinds of plots as SVG: bars and lines, over logarithmic axes, readable in light and dark.
//!
//! ```text
//!   title                          lines: one a series, its name in the legend
//!   10k |        ,--               bars: groups of bars, one a series
//!    1k |   ----'                  a value of zero or less is left out: it has no logarithm
//!       +-----------
//!         axis label
//! ```

use std::fmt::Write as _;

/// A series: its name, the class of its colour, and its points.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// 0 to 4, see [`STYLE`].
    pub(crate) colour: usize,
    /// By place on the axis across; not all places need a value.
    pub(crate) values: Vec<Option<f64>>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What is along the lower edge, and the places on it.
    pub(crate) across: String,
    pub(crate) places: Vec<String>,
    /// What is up the left edge.
    pub(crate) up: String,
    pub(crate) series: Vec<Series>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 60.0;

const STYLE: &str = "<style>
.paper{fill:#ffffff}.text{fill:#1f2328}.faint{fill:#59636e}.grid{stroke:#d1d9e0}
.f0{fill:#0969da}.f1{fill:#8250df}.f2{fill:#bc4c00}.f3{fill:#1a7f37}.f4{fill:#bf3989}
.s0{stroke:#0969da}.s1{stroke:#8250df}.s2{stroke:#bc4c00}.s3{stroke:#1a7f37}.s4{stroke:#bf3989}
@media (prefers-color-scheme:dark){
.paper{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#30363d}
.f0{fill:#4493f8}.f1{fill:#ab7df8}.f2{fill:#f0883e}.f3{fill:#3fb950}.f4{fill:#f778ba}
.s0{stroke:#4493f8}.s1{stroke:#ab7df8}.s2{stroke:#f0883e}.s3{stroke:#3fb950}.s4{stroke:#f778ba}
}
</style>";

impl Plot {
    pub(crate) fn bars(&self) -> String {
        let mut svg = self.frame();
        let scale = self.scale();
        let slot = self.slot();
        let share = 0.8 / as_f64(self.series.len().max(1));
        for (nth, series) in self.series.iter().enumerate() {
            for (place, value) in drawn(series) {
                let at = as_f64(place) + 0.1 + as_f64(nth) * share;
                let (x, y) = (LEFT + at * slot, scale.y(value));
                let (width, height) = (share * slot * 0.92, HEIGHT - BOTTOM - y);
                let (colour, name) = (series.colour, escaped(&series.name));
                let shown = in_words(value);
                append(
                    &mut svg,
                    &format!(
                        "<rect class=\"f{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" \
                         width=\"{width:.1}\" height=\"{height:.1}\">\
                         <title>{name}: {shown}</title></rect>\
                         <text class=\"text\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" \
                         text-anchor=\"middle\">{shown}</text>",
                        x + width / 2.0,
                        y - 4.0,
                    ),
                );
            }
        }
        svg + "</svg>\n"
    }

    pub(crate) fn lines(&self) -> String {
        let mut svg = self.frame();
        let scale = self.scale();
        let slot = self.slot();
        for series in &self.series {
            let colour = series.colour;
            let mut path = String::new();
            for (place, value) in drawn(series) {
                let (x, y) = (LEFT + (as_f64(place) + 0.5) * slot, scale.y(value));
                let step = if path.is_empty() { 'M' } else { 'L' };
                write!(path, "{step}{x:.1} {y:.1}").expect("to memory");
                let (name, shown) = (escaped(&series.name), in_words(value));
                append(
                    &mut svg,
                    &format!(
                        "<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\">\
                         <title>{name}: {shown}</title></circle>"
                    ),
                );
            }
            if !path.is_empty() {
                append(
                    &mut svg,
                    &format!(
                        "<path class=\"s{colour}\" d=\"{path}\" fill=\"none\" stroke-width=\"2\"/>"
                    ),
                );
            }
        }
        svg + "</svg>\n"
    }

    /// The width of a place.
    fn slot(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / as_f64(self.places.len().max(1))
    }

    fn scale(&self) -> Scale {
        let values = self.series.iter().flat_map(drawn);
        Scale::over(values.map(|(_, value)| value))
    }

    /// Paper, title, legend, axes and grid.
    fn frame(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             {STYLE}\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
        );
        let mut text = |x: f64, y: f64, how: &str, words: &str| {
            let words = escaped(words);
            append(
                &mut svg,
                &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {how}>{words}</text>"),
            );
        };
        let title = "class=\"text\" font-size=\"16\" font-weight=\"bold\"";
        text(LEFT, 24.0, title, &self.title);
        let middle = "class=\"faint\" text-anchor=\"middle\"";
        let (centre, lower) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - BOTTOM);
        text(centre, HEIGHT - 12.0, middle, &self.across);
        let turned = format!("{middle} transform=\"rotate(-90 16 {:.1})\"", HEIGHT / 2.0);
        text(16.0, HEIGHT / 2.0, &turned, &self.up);
        for (place, name) in self.places.iter().enumerate() {
            let x = LEFT + (as_f64(place) + 0.5) * self.slot();
            let how = "class=\"text\" text-anchor=\"middle\"";
            text(x, lower + 20.0, how, name);
        }
        let mut x = LEFT;
        for series in &self.series {
            let how = format!("class=\"f{}\" font-weight=\"bold\"", series.colour);
            text(x, 48.0, &how, &format!("\u{25a0} {}", series.name));
            x += 40.0 + 7.0 * as_f64(series.name.chars().count());
        }
        let scale = self.scale();
        for value in scale.decades() {
            let y = scale.y(value);
            let right = WIDTH - RIGHT;
            append(
                &mut svg,
                &format!(
                    "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                     <text class=\"text\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 8.0,
                    y + 4.0,
                    in_words(value)
                ),
            );
        }
        svg
    }
}

/// A logarithmic axis up, from decade to decade.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Exponents of ten.
    from: i32,
    to: i32,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (least, most) = (least.min(value), most.max(value));
        }
        if least > most {
            (least, most) = (1.0, 10.0);
        }
        let from = exponent(least.log10().floor());
        let to = exponent(most.log10().ceil());
        Self {
            from,
            to: to.max(from + 1),
        }
    }

    fn y(self, value: f64) -> f64 {
        let whole = f64::from(self.to - self.from);
        let share = (value.log10() - f64::from(self.from)) / whole;
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|exponent| 10_f64.powi(exponent))
    }
}

/// The values that have a logarithm, by place.
fn drawn(series: &Series) -> impl Iterator<Item = (usize, f64)> {
    let values = series.values.iter().enumerate();
    values.filter_map(|(place, value)| value.filter(|it| *it > 0.0).map(|it| (place, it)))
}

fn append(svg: &mut String, part: &str) {
    svg.push_str(part);
    svg.push('\n');
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// With a letter for thousands, millions and milliards.
fn in_words(value: f64) -> String {
    let (value, letter) = match value {
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value {
        ..1.0 => format!("{value:.2}"),
        ..10.0 if value.fract() > 0.05 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    format!("{digits}{letter}")
}

#[expect(clippy::cast_precision_loss, reason = "places and letters are few")]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the exponent of a float has three digits"
)]
fn exponent(whole: f64) -> i32 {
    whole as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: &[Option<f64>]) -> Plot {
        Plot {
            title: "a < b".into(),
            across: "load".into(),
            places: vec!["x".into(), "y".into(), "z".into()],
            up: "us".into(),
            series: vec![Series {
                name: "ours".into(),
                colour: 0,
                values: values.to_vec(),
            }],
        }
    }

    #[test]
    fn a_value_stands_on_its_decade() {
        let scale = Scale::over([3.0, 250.0].into_iter());
        assert_eq!((scale.from, scale.to), (0, 3));
        assert!((scale.y(1.0) - (HEIGHT - BOTTOM)).abs() < 1e-9);
        assert!((scale.y(1_000.0) - TOP).abs() < 1e-9);
        let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
        assert!((scale.y(10_f64.powf(1.5)) - middle).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_logarithm_is_left_out() {
        let plot = plot(&[Some(2.0), None, Some(0.0)]);
        assert_eq!(plot.bars().matches("<rect class=\"f0\"").count(), 1);
        assert_eq!(plot.lines().matches("<circle").count(), 1);
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_plot() {
        let svg = plot(&[None, None, None]).bars();
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.25, 1.0, 1.5, 32.0, 5_200.0, 1e6].map(in_words);
        assert_eq!(shown, ["0.25", "1", "1.5", "32", "5.2k", "1M"]);
    }
}
