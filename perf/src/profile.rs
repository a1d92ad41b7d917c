//! A sampling profiler around a load, and the picture of what it saw: a flame graph.
//!
//! Each bar is a function, as wide as the share of samples in which it ran; what it called stands
//! above it. Hovering tells the whole name and the share. Bars too narrow to be seen are left
//! out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::failure::Failure;
use crate::report::as_f64;

/// Samples a second of each thread's CPU time; prime, so that it beats with nothing.
const SAMPLES_PER_SECOND: i32 = 997;

/// Runs the load and draws where its time went, if a file is named.
pub(crate) fn during<T>(file: Option<&Path>, load: impl FnOnce() -> T) -> Result<T, Failure> {
    let Some(file) = file else { return Ok(load()) };
    let refused = |error: pprof::Error| Failure::new(format!("the profiler: {error}"));
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(SAMPLES_PER_SECOND)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()
        .map_err(refused)?;
    let outcome = load();
    let report = guard.report().build().map_err(refused)?;
    let mut root = Bar::default();
    for (stack, count) in &report.data {
        let count = u64::try_from(*count).unwrap_or(0);
        // From the outermost call inwards; a frame holds what was inlined into it first.
        let names = stack
            .frames
            .iter()
            .rev()
            .flat_map(|frame| frame.iter().rev());
        add(&mut root, names.map(|symbol| symbol.name()), count);
    }
    std::fs::write(file, draw(&root))?;
    Ok(outcome)
}

/// A function in the calls that led to it.
#[derive(Debug, Default)]
struct Bar {
    samples: u64,
    calls: BTreeMap<String, Self>,
}

fn add(root: &mut Bar, names: impl Iterator<Item = String>, count: u64) {
    root.samples += count;
    let mut at = root;
    for name in names {
        at = at.calls.entry(name).or_default();
        at.samples += count;
    }
}

impl Bar {
    fn depth(&self) -> u32 {
        1 + self.calls.values().map(Self::depth).max().unwrap_or(0)
    }
}

const WIDTH: f64 = 1_600.0;
const ROW: u32 = 18;
/// Bars narrower than this are left out.
const WIDTH_MIN: f64 = 0.5;

fn draw(root: &Bar) -> String {
    let height = root.depth() * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n"
    );
    let mut picture = Picture {
        svg: &mut svg,
        total: root.samples.max(1),
        height,
    };
    picture.draw("all", root, 0.0, 1);
    svg.push_str("</svg>\n");
    svg
}

struct Picture<'s> {
    svg: &'s mut String,
    total: u64,
    height: u32,
}

impl Picture<'_> {
    fn draw(&mut self, name: &str, of: &Bar, x: f64, row: u32) {
        let share = as_f64(of.samples) / as_f64(self.total);
        let width = share * WIDTH;
        if width < WIDTH_MIN {
            return;
        }
        let y = self.height - row * ROW;
        let name = name
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let percent = share * 100.0;
        let shown: String = name_that_fits(&name, width);
        let hue = 20 + name.bytes().map(u32::from).sum::<u32>() % 40;
        writeln!(
            self.svg,
            "<g><title>{name}: {percent:.2}%, {} samples</title>\
             <rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" \
             fill=\"hsl({hue},80%,65%)\" stroke=\"white\" stroke-width=\"0.5\"/>\
             <text x=\"{:.1}\" y=\"{}\">{shown}</text></g>",
            of.samples,
            ROW - 1,
            x + 3.0,
            y + 13,
        )
        .expect("to memory");
        let mut x = x;
        for (name, call) in &of.calls {
            self.draw(name, call, x, row + 1);
            x += as_f64(call.samples) / as_f64(self.total) * WIDTH;
        }
    }
}

/// The beginning of a name, as far as a bar of that width holds it; nothing of an escape is cut.
fn name_that_fits(name: &str, width: f64) -> String {
    const LETTER: f64 = 6.7;
    let mut left = width - 6.0;
    let fits = name.split_inclusive(';').flat_map(|part| {
        let (text, escape) = part.split_at(part.find('&').unwrap_or(part.len()));
        let letters = text
            .char_indices()
            .map(|(at, it)| &text[at..at + it.len_utf8()]);
        letters.chain((!escape.is_empty()).then_some(escape))
    });
    fits.take_while(|_| {
        left -= LETTER;
        left > 0.0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_its_share_of_the_samples() {
        let mut root = Bar::default();
        let calls = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        add(&mut root, calls(&["a", "b"]).into_iter(), 3);
        add(&mut root, calls(&["a", "c<T>"]).into_iter(), 1);
        let svg = draw(&root);
        assert!(svg.contains("<title>a: 100.00%, 4 samples"));
        assert!(svg.contains("<title>b: 75.00%, 3 samples"));
        assert!(svg.contains("<title>c&lt;T&gt;: 25.00%, 1 samples"));
        assert!(svg.contains("x=\"1200.0\" y=\"0\" width=\"400.0\""));
    }

    #[test]
    fn a_name_is_cut_between_letters_and_never_within_an_escape() {
        assert_eq!(name_that_fits("ab&lt;c", 6.0 + 6.8 * 3.0), "ab&lt;");
        assert_eq!(name_that_fits("ab&lt;c", 6.0 + 6.8 * 2.0), "ab");
    }
}
