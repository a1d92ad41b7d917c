//! A sampling profiler, and the picture of what it saw: a flame graph.
//!
//! Each bar is a function, as wide as the share of samples in which it ran; what it called stands
//! above it. Hovering tells the whole name and the share. Bars too narrow to be seen are left
//! out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// Samples a second of each thread's CPU time; prime, so that it beats with nothing.
const SAMPLES_PER_SECOND: i32 = 997;

/// A profiler that samples this process until it is asked what it saw.
pub(crate) struct Sampler(pprof::ProfilerGuard<'static>);

impl Sampler {
    pub(crate) fn start() -> Result<Self, pprof::Error> {
        let builder = pprof::ProfilerGuardBuilder::default()
            .frequency(SAMPLES_PER_SECOND)
            .blocklist(&["libc", "libgcc", "pthread", "vdso"]);
        builder.build().map(Self)
    }

    /// Draws what was seen.
    pub(crate) fn draw_to(self, file: &Path) -> Result<(), Box<dyn Error>> {
        let report = self.0.report().build()?;
        let mut root = Bar::default();
        for (stack, count) in &report.data {
            let count = u64::try_from(*count).unwrap_or(0);
            // From the outermost call inwards; a frame holds what was inlined into it first.
            let names = stack
                .frames
                .iter()
                .rev()
                .flat_map(|frame| frame.iter().rev());
            root.add(names.map(|symbol| symbol.name()), count);
        }
        Ok(std::fs::write(file, draw(&root))?)
    }
}

/// A function in the calls that led to it.
#[derive(Debug, Default)]
pub(crate) struct Bar {
    samples: u64,
    calls: BTreeMap<String, Self>,
}

impl Bar {
    pub(crate) fn add(&mut self, names: impl Iterator<Item = String>, count: u64) {
        self.samples += count;
        let mut at = self;
        for name in names {
            at = at.calls.entry(name).or_default();
            at.samples += count;
        }
    }

    fn depth(&self) -> u32 {
        1 + self.calls.values().map(Self::depth).max().unwrap_or(0)
    }
}

const WIDTH: f64 = 1_600.0;
const ROW: u32 = 18;
/// Bars narrower than this are left out.
const WIDTH_MIN: f64 = 0.5;

pub(crate) fn draw(root: &Bar) -> String {
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
pub(crate) fn name_that_fits(name: &str, width: f64) -> String {
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

#[expect(
    clippy::cast_precision_loss,
    reason = "samples of a run are far below 2^53"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
