//! Plots as SVG: lines over a scale that begins at zero, for light and dark pages alike.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
/// Around the lines: above for the title, below and at the left for the scales.
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// Told apart on white and on black, also by who sees no red or no green (Okabe and Ito 2008).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"];
/// More points than this in a line are thinned out: nobody sees them.
const POINTS: usize = 1_000;

/// Lines over a common scale.
#[derive(Debug, Clone)]
pub struct Plot {
    title: String,
    x: String,
    y: String,
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// An empty one, with what is along its axes.
    #[must_use]
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        Self { title: title.to_owned(), x: x.to_owned(), y: y.to_owned(), lines: Vec::new() }
    }

    /// With one more line.
    #[must_use]
    pub fn line(mut self, name: &str, mut points: Vec<(f64, f64)>) -> Self {
        points.retain(|(x, y)| x.is_finite() && y.is_finite());
        let every = points.len().div_ceil(POINTS).max(1);
        self.lines.push((name.to_owned(), points.into_iter().step_by(every).collect()));
        self
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|(_, points)| points);
        let (x_from, x_to) =
            all().fold((f64::MAX, f64::MIN), |(from, to), (x, _)| (from.min(*x), to.max(*x)));
        let (x_from, x_to) = if x_from < x_to { (x_from, x_to) } else { (0.0, x_to.max(1.0)) };
        let y_step = step(all().map(|(_, y)| *y).fold(0.0, f64::max));
        let y_to = (all().map(|(_, y)| *y).fold(0.0, f64::max) / y_step).ceil().max(1.0) * y_step;
        let at_x = |x: f64| LEFT + (x - x_from) / (x_to - x_from) * (WIDTH - LEFT - RIGHT);
        let at_y = |y: f64| HEIGHT - BOTTOM - y / y_to * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>text{{font:13px system-ui,sans-serif;fill:#24292f}}.t{{font-weight:600;font-size:15px}}.g{{stroke:#8884}}\
             .b{{fill:#fff}}@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.b{{fill:#0d1117}}}}</style>\n\
             <rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n<text class=\"t\" x=\"16\" y=\"24\">{title}</text>\n",
            title = escaped(&self.title)
        );
        let mut y = 0.0;
        while y <= y_to * 1.001 {
            let at = at_y(y);
            let _ = write!(
                svg,
                "<path class=\"g\" d=\"M{LEFT} {at:.1}H{:.1}\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                short(y)
            );
            y += y_step;
        }
        let x_step = step(x_to - x_from);
        let mut x = (x_from / x_step).ceil() * x_step;
        while x <= x_to {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                at_x(x),
                HEIGHT - BOTTOM + 18.0,
                short(x)
            );
            x += x_step;
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n<text x=\"16\" y=\"44\">{}</text>\n",
            WIDTH - RIGHT,
            HEIGHT - 10.0,
            escaped(&self.x),
            escaped(&self.y)
        );
        for (n, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            let mut path = String::new();
            if let [(x, y)] = points[..] {
                // A line of one point would be nothing to be seen.
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    at_x(x),
                    at_y(y)
                );
            }
            for (n, (x, y)) in points.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, at_x(*x), at_y(*y));
            }
            let _ = write!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n\
                 <text x=\"{:.1}\" y=\"44\" text-anchor=\"end\" style=\"fill:{colour}\">{}</text>\n",
                WIDTH - RIGHT - 150.0 * (self.lines.len() - 1 - n) as f64,
                escaped(name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The distance of the lines of a scale: 1, 2 or 5 times a power of ten, about five of them up to `to`.
fn step(to: f64) -> f64 {
    let rough = if to > 0.0 { to / 5.0 } else { 1.0 };
    let power = 10_f64.powf(rough.log10().floor());
    let of = [1.0, 2.0, 5.0].into_iter().find(|of| of * power >= rough * 0.999).unwrap_or(10.0);
    of * power
}

/// A figure with few characters: `1.5k`, `2M`.
fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_figures_that_reach_over_everything() {
        assert_eq!([10.0, 83.0, 0.9, 0.0].map(|to| short(step(to))), ["2", "20", "0.2", "1"]);
        assert_eq!([short(1500.0), short(2e6), short(0.2), short(0.0)], ["1.5k", "2M", "0.2", "0"]);
        let svg =
            Plot::new("a < b", "s", "ms").line("p99", vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 83.0)]).svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">100</text>") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn a_plot_of_nothing_is_a_plot() {
        let svg = Plot::new("nothing", "x", "y").line("none", Vec::new()).svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}
