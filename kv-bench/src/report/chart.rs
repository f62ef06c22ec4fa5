//! The ratios as a picture: a point for the median, a line from the lowest pair to the highest.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Promised, Report, Row};
use crate::client::Result;

const WIDTH: u32 = 1_000;
const ROW_HEIGHT: u32 = 22;
const TITLE_HEIGHT: u32 = 50;
const AXIS_HEIGHT: u32 = 60;
/// Room for the rows' names.
const NAME_WIDTH: u32 = 300;

const KEPT: RGBColor = RGBColor(32, 110, 180);
const MISSED: RGBColor = RGBColor(200, 40, 40);
const LIMIT: RGBColor = RGBColor(110, 110, 110);

/// Draws the rows into an SVG file.
pub(super) fn draw(report: &Report, file: &Path) -> Result {
    let bars: Vec<Bar> = report.rows.iter().map(Bar::from).chain(report.promises.iter().map(Bar::from)).collect();
    let height = TITLE_HEIGHT + AXIS_HEIGHT + ROW_HEIGHT * bars.len() as u32;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;

    let from = bars.iter().map(|bar| bar.lowest).fold(0.5, f64::min) * 0.9;
    let to = bars.iter().map(|bar| bar.highest).fold(2.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(&area)
        .caption("Time as a multiple of the raw driver's, or of what is named (less is better)", ("sans-serif", 18))
        .margin(8)
        .margin_left(NAME_WIDTH)
        .margin_right(30)
        .x_label_area_size(40)
        .build_cartesian_2d((from..to).log_scale(), 0.0..bars.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(12)
        .x_label_formatter(&|ratio| format!("{ratio:.2}"))
        .x_desc("ratio: median, lowest and highest pair; a grey stroke is the most that it may be")
        .draw()?;

    let last = bars.len() as f64;
    chart.draw_series([PathElement::new(vec![(1.0, 0.0), (1.0, last)], BLACK.stroke_width(1))])?;
    let left = Pos::new(HPos::Right, VPos::Center);
    let style = ("sans-serif", 13).into_font().color(&BLACK).pos(left);
    for (at, bar) in bars.iter().enumerate() {
        let y = last - at as f64 - 0.5;
        let color = if bar.met == Some(false) { MISSED } else { KEPT };
        chart.draw_series([PathElement::new(vec![(bar.lowest, y), (bar.highest, y)], color.stroke_width(2))])?;
        chart.draw_series([Circle::new((bar.ratio, y), 4, color.filled())])?;
        if let Some(limit) = bar.limit {
            chart.draw_series([PathElement::new(vec![(limit, y - 0.4), (limit, y + 0.4)], LIMIT.stroke_width(3))])?;
        }
        let (_, pixel) = chart.backend_coord(&(from, y));
        area.draw_text(&bar.name, &style, (NAME_WIDTH as i32 - 4, pixel))?;
    }
    area.present()?;
    Ok(())
}

/// What the chart shows of a row.
struct Bar {
    name: String,
    ratio: f64,
    lowest: f64,
    highest: f64,
    limit: Option<f64>,
    met: Option<bool>,
}

impl From<&Row> for Bar {
    fn from(row: &Row) -> Self {
        let Row { engine, durability, workload, callers, raw_callers, compared, limit, met, .. } = row;
        let beside = if callers == raw_callers { String::new() } else { format!(" beside {raw_callers}") };
        Self {
            name: format!("{engine} {durability} {workload}, {callers}{beside}"),
            ratio: compared.ratio,
            lowest: compared.ratio_min,
            highest: compared.ratio_max,
            limit: *limit,
            met: *met,
        }
    }
}

impl From<&Promised> for Bar {
    fn from(promised: &Promised) -> Self {
        let Promised { engine, durability, promise, ratio, ratio_min, ratio_max, limit, met, .. } = promised;
        Self {
            name: format!("{engine} {durability} {promise}"),
            ratio: *ratio,
            lowest: *ratio_min,
            highest: *ratio_max,
            limit: Some(*limit),
            met: Some(*met),
        }
    }
}
