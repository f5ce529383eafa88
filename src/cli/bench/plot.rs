//! Bars, as SVG or PNG.

use std::path::Path;

use fsvae::bench::schema::{Dispatch, Outcome, Point, Report};
use fsvae::bench::{median, si, time};
use fsvae::image::{DynamicImage, RgbImage};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::style::{BLACK, Color, FontStyle, IntoFont, RGBColor, WHITE, register_font};

use crate::cli::Failure;
use crate::cli::formats::Format as Picture;
use crate::cli::output::{Files, Pattern, Target};

/// Bars under each other, on one scale.
pub(in crate::cli) struct Chart {
    pub(super) title: String,
    /// What the colours of parts mean, in the order of [`Bar::parts`]; empty if there is one colour.
    pub(super) legend: Vec<String>,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) label: String,
    /// Lengths of what the bar is made of.
    pub(super) parts: Vec<f64>,
    /// Stands at its end.
    pub(super) value: String,
}

/// The charts of one report: images a second, and where the time of an image goes.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let model = &report.model.name;
    let throughput = report.results.iter().map(|result| {
        let label = result.backend.clone();
        let not_scored = |value: &str| Bar { label: label.clone(), parts: vec![0.0], value: value.into() };
        match &result.outcome {
            Outcome::Wrong { .. } => not_scored("WRONG"),
            Outcome::Failed { .. } => not_scored("failed"),
            Outcome::Interrupted(_) => not_scored("interrupted"),
            Outcome::Ok(scores) => match Point::best(&scores.throughput) {
                None => not_scored("not measured"),
                Some((point, rate)) => {
                    let value = format!("{} at batch {}", si(rate), point.batch);
                    Bar { label: label.clone(), parts: vec![rate], value }
                }
            },
        }
    });
    let mut charts = vec![Chart {
        title: format!("{model}: images a second"),
        legend: Vec::new(),
        bars: throughput.collect(),
    }];
    // Every adapter on a scale of its own: what matters is how the time is divided.
    for result in &report.results {
        let Some(kernels) = result.scores().and_then(|scores| scores.kernels.as_ref()) else { continue };
        let of_image = |samples: &[u64]| median(samples) / kernels.batch as f64;
        let parts: Vec<f64> =
            kernels.dispatches.iter().map(|dispatch| of_image(&dispatch.samples_ns)).collect();
        let name = |dispatch: &Dispatch| match &dispatch.layers[..] {
            [layer] => layer.clone(),
            _ => dispatch.kernel.clone(),
        };
        let names = kernels.dispatches.iter().map(name);
        charts.push(Chart {
            title: format!("{model}: GPU time of an image by layer"),
            legend: names.zip(&parts).map(|(name, &part)| format!("{name} {}", time(part))).collect(),
            bars: vec![Bar {
                label: format!("{}, batch {}", result.backend, kernels.batch),
                value: time(parts.iter().sum()),
                parts,
            }],
        });
    }
    charts
}

/// A file for charts.
pub(super) struct Output {
    target: Target,
    format: Format,
}

enum Format {
    Svg,
    Png,
}

impl Format {
    fn of_path(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            found => {
                let (path, found) = (path.display(), found.unwrap_or("none"));
                Err(Failure::Input(format!("{path}: expected the extension svg or png, found {found}")))
            }
        }
    }
}

impl Output {
    /// Whether a path can be that of a plot.
    pub(super) fn check(path: &Path) -> Result<(), Failure> {
        Format::of_path(path)?;
        Pattern::check(path, None)
    }

    pub(super) fn new(files: &mut Files, path: &Path) -> Result<Self, Failure> {
        Ok(Output { format: Format::of_path(path)?, target: files.target(path)? })
    }

    pub(super) fn write(self, charts: &[Chart]) -> Result<(), Failure> {
        let place = self.target.shown();
        let failure = |problem: String| Failure::Write { place, source: std::io::Error::other(problem) };
        match self.format {
            Format::Svg => self.target.write(svg(charts).map_err(failure)?.as_bytes()),
            Format::Png => {
                self.target.write_image(&DynamicImage::from(png(charts).map_err(failure)?), Picture::Png)
            }
        }
    }
}

const WIDTH: u32 = 900;
const MARGIN: i32 = 20;
/// The length of the longest bar; its value stands to the right.
const LONGEST: i32 = 640;
const TITLE: i32 = 34;
/// A bar with its label above.
const BAR: i32 = 46;
const LEGEND: i32 = 20;
const LEGEND_COLUMNS: usize = 4;
const FONT: &str = "sans-serif";

/// Apart for most eyes, in this order (Okabe and Ito), then again.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(120, 120, 120),
];

pub(in crate::cli) fn svg(charts: &[Chart]) -> Result<String, String> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, (WIDTH, height(charts))), charts, 1)?;
    Ok(text)
}

/// Twice as large, for screens that are fine.
fn png(charts: &[Chart]) -> Result<RgbImage, String> {
    let (width, height) = (2 * WIDTH, 2 * height(charts));
    let mut pixels = vec![0; (width * height * 3) as usize];
    draw(BitMapBackend::with_buffer(&mut pixels, (width, height)), charts, 2)?;
    RgbImage::from_raw(width, height, pixels).ok_or_else(|| "the picture is too large".into())
}

fn chart_height(chart: &Chart) -> i32 {
    let legend = chart.legend.len().div_ceil(LEGEND_COLUMNS) as i32;
    TITLE + BAR * chart.bars.len() as i32 + LEGEND * legend + MARGIN
}

fn height(charts: &[Chart]) -> u32 {
    (MARGIN + charts.iter().map(chart_height).sum::<i32>()).unsigned_abs()
}

fn draw(backend: impl DrawingBackend, charts: &[Chart], scale: i32) -> Result<(), String> {
    // A font of the crate's own: a machine may have none, and pictures of the same numbers are to be the same.
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).map_err(|_| "the font is damaged")?;
    let area = backend.into_drawing_area();
    let drawn = || {
        area.fill(&WHITE)?;
        let mut top = MARGIN;
        for chart in charts {
            draw_chart(&Canvas { area: &area, scale }, chart, top)?;
            top += chart_height(chart);
        }
        area.present()
    };
    drawn().map_err(|error| error.to_string())
}

type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: i32,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    fn text(&self, text: &str, size: i32, [x, y]: [i32; 2]) -> Drawn<DB> {
        let style = (FONT, self.scale * size).into_font().color(&BLACK);
        self.area.draw(&Text::new(text.to_owned(), (self.scale * x, self.scale * y), style))
    }

    fn rectangle(&self, [left, right]: [i32; 2], [top, bottom]: [i32; 2], colour: RGBColor) -> Drawn<DB> {
        let corner = |x, y| (self.scale * x, self.scale * y);
        self.area.draw(&Rectangle::new([corner(left, top), corner(right, bottom)], colour.filled()))
    }
}

fn draw_chart<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, chart: &Chart, top: i32) -> Drawn<DB> {
    canvas.text(&chart.title, 18, [MARGIN, top])?;
    let length = |bar: &Bar| bar.parts.iter().sum::<f64>();
    let longest = chart.bars.iter().map(length).fold(f64::MIN_POSITIVE, f64::max);
    let mut y = top + TITLE;
    for bar in &chart.bars {
        canvas.text(&bar.label, 13, [MARGIN, y])?;
        let mut sum = 0.0;
        let mut left = MARGIN;
        for (part, colour) in bar.parts.iter().zip(COLOURS.iter().cycle()) {
            sum += part;
            let right = MARGIN + (f64::from(LONGEST) * sum / longest).round() as i32;
            canvas.rectangle([left, right], [y + 17, y + 37], *colour)?;
            left = right;
        }
        canvas.text(&bar.value, 13, [left + 6, y + 21])?;
        y += BAR;
    }
    for (at, (name, colour)) in chart.legend.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let column = (at % LEGEND_COLUMNS) as i32;
        let (x, y) = (MARGIN + 215 * column, y + LEGEND * (at / LEGEND_COLUMNS) as i32);
        canvas.rectangle([x, x + 12], [y, y + 12], *colour)?;
        canvas.text(name, 13, [x + 18, y])?;
    }
    Ok(())
}
