//! The HTML page of a report: text, tables, plots and images, with a style for printing.

use std::fmt::Write as _;

use crate::evaluate::{Evaluation, Figures, Measure, Ranking, Reliability, UnknownCurve};
use crate::project::Split;
use crate::text::{self, number};

use super::Report;
use super::svg::{Axes, Mark, escaped};

/// The number of line colours.
const COLORS: usize = 8;
/// The most classes for which curves and the matrix are drawn.
const MOST_LINES: usize = 8;
const MOST_CELLS: usize = 40;
/// The most sources in the table, the worst first.
const MOST_SOURCES: usize = 12;

/// As elsewhere, but with a non-breaking space.
fn percent(part: impl Into<f64>) -> String {
    text::percent(part).replace(' ', "\u{202f}")
}

/// A figure with its interval: `84.1 % (70 to 93)`.
fn measure(of: &Measure) -> String {
    let value = of.value.map_or_else(|| "–".to_owned(), percent);
    match of.interval_95.map(text::percent_range) {
        Some([low, high]) => format!("{value} <small>({low:.0} to {high:.0})</small>"),
        None => value,
    }
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

/// A section that is not divided between pages.
fn section(title: &str, body: &str) -> String {
    format!("<section><h2>{}</h2>{body}</section>", escaped(title))
}

/// The whole page.
pub(super) fn page(report: &Report<'_>) -> String {
    let title = format!("{} – {}", report.project, report.title);
    let mut body = head(report);
    body += &section("Confusion matrix", &matrix(report.evaluation));
    body += &section("Classes", &classes(report.evaluation, report.figures));
    body += &curves(report.evaluation, report.figures);
    if let Some(found) = &report.reliability {
        body += &section("Calibration", &calibration(report, found));
    }
    if let Some(curve) = &report.unknown {
        body += &section("Images of unknown classes", &unknown(report, curve));
    }
    body += &data(report);
    body += &sources(report);
    body += &mistakes(report);
    body += &settings(report);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         {}<title>{}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n",
        super::MARK,
        escaped(&title)
    )
}

fn head(report: &Report<'_>) -> String {
    let figures = report.figures;
    let side = match report.evaluation.split {
        Split::Test => "test",
        Split::Validation => "validation",
        Split::Train => "training",
    };
    let mut text = format!(
        "<header><h1>{}</h1><p class=\"muted\">{}</p></header><div class=\"figures\">",
        escaped(&report.title),
        escaped(&report.about)
    );
    for (name, value) in [
        (format!("{side} accuracy"), measure(&figures.accuracy)),
        ("macro F1".to_owned(), measure(&figures.macro_f1)),
        ("macro recall".to_owned(), measure(&figures.macro_recall)),
        (
            "macro precision".to_owned(),
            measure(&figures.macro_precision),
        ),
    ] {
        _ = write!(
            text,
            "<div><b>{value}</b><span>{}</span></div>",
            escaped(&name)
        );
    }
    text += "</div>";
    let right = report.evaluation.confusion.correct();
    text += &paragraph(&format!(
        "{} of {} {} from {} are classified correctly. In brackets are 95 % intervals over sources: with as many other sources like these, the figure would be within them 19 times out of 20.",
        number(right),
        number(figures.frames),
        report.evaluation.noun().many(),
        if figures.sources == 1 {
            "1 source".to_owned()
        } else {
            format!("{} sources", number(figures.sources))
        }
    ));
    for note in &report.notes {
        _ = write!(text, "<p class=\"note\">{}</p>", escaped(note));
    }
    text
}

fn matrix(evaluation: &Evaluation) -> String {
    let classes = &evaluation.classes;
    if classes.len() > MOST_CELLS {
        return paragraph(&format!(
            "{} classes are too many for a page; `salamander evaluate --json` outputs the matrix.",
            classes.len()
        ));
    }
    let mut text = "<p class=\"muted\">Rows are the labels, columns the predictions.</p><div class=\"wide\"><table class=\"matrix\"><tr><th></th>".to_owned();
    for class in classes {
        _ = write!(
            text,
            "<th class=\"up\"><span>{}</span></th>",
            escaped(class)
        );
    }
    text += "</tr>";
    let rows = classes.iter().zip(&evaluation.confusion.counts);
    for (truth, (class, row)) in rows.enumerate() {
        _ = write!(text, "<tr><th>{}</th>", escaped(class));
        let total = row.iter().sum::<u64>().max(1) as f64;
        for (called, count) in row.iter().enumerate() {
            let kind = if truth == called { "hit" } else { "miss" };
            let strength = match *count {
                0 => 0.0,
                count => 0.12 + 0.88 * count as f64 / total,
            };
            _ = write!(
                text,
                "<td class=\"{kind}{}\" style=\"--s:{strength:.2}\">{}</td>",
                if strength > 0.6 { " full" } else { "" },
                if *count == 0 {
                    String::new()
                } else {
                    number(*count)
                }
            );
        }
        text += "</tr>";
    }
    text + "</table></div>"
}

fn classes(evaluation: &Evaluation, figures: &Figures) -> String {
    let noun = evaluation.noun();
    let mut text = format!(
        "<div class=\"wide\"><table><tr><th>class</th><th>{}</th><th>sources</th><th>recall</th><th>precision</th><th>F1</th><th>AP</th><th>AUC</th></tr>",
        noun.many()
    );
    for (class, of) in evaluation.classes.iter().zip(&figures.per_class) {
        let three = |value: fn(&Ranking) -> f64| {
            let ranking = of.ranking.as_ref();
            ranking.map_or_else(|| "–".to_owned(), |of| format!("{:.3}", value(of)))
        };
        _ = write!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(class),
            number(of.frames),
            number(of.sources),
            measure(&of.recall),
            measure(&of.precision),
            measure(&of.f1),
            three(|of| of.average_precision),
            three(|of| of.auc)
        );
    }
    text + "</table></div>"
}

fn curves(evaluation: &Evaluation, figures: &Figures) -> String {
    // Of many classes, those with the lowest recall.
    let mut order: Vec<usize> = (0..figures.per_class.len()).collect();
    let auc = |class: &usize| {
        let of_class = figures.per_class.get(*class);
        of_class.and_then(|of| of.ranking.as_ref()).map(|of| of.auc)
    };
    order.retain(|class| auc(class).is_some());
    if order.len() > MOST_LINES {
        order.sort_by(|a, b| auc(a).unwrap_or(1.0).total_cmp(&auc(b).unwrap_or(1.0)));
        order.truncate(MOST_LINES);
    }
    if order.is_empty() {
        return String::new();
    }
    let rankings: Vec<&Ranking> = order
        .iter()
        .filter_map(|class| figures.per_class.get(*class)?.ranking.as_ref())
        .collect();
    let colors: Vec<String> = (0..COLORS).map(|at| format!("c{at}")).collect();
    let color = |at: usize| colors.get(at % COLORS).map_or("c0", String::as_str);
    let plot = |title, names, of: fn(&Ranking) -> Vec<[f64; 2]>| {
        let lines: Vec<Vec<[f64; 2]>> = rankings.iter().map(|ranking| of(ranking)).collect();
        let marks: Vec<Mark<'_>> = lines
            .iter()
            .enumerate()
            .map(|(at, points)| Mark::Line {
                points,
                color: color(at),
                dashed: false,
            })
            .collect();
        Axes::percent(title, names).plot(&marks)
    };
    let precision = plot(
        "Precision over recall",
        ["recall", "precision"],
        Ranking::precision_steps,
    );
    let roc = plot("ROC", ["false positives", "true positives"], |of| {
        of.roc.clone()
    });
    let mut legend = String::new();
    for (at, class) in order.iter().enumerate() {
        let name = evaluation.classes.get(*class).map_or("", String::as_str);
        _ = write!(
            legend,
            "<span><i class=\"{}\"></i>{}</span> ",
            color(at),
            escaped(name)
        );
    }
    let body =
        format!("<div class=\"plots\">{precision}{roc}</div><p class=\"legend\">{legend}</p>");
    let title = if rankings.len() < figures.per_class.len() {
        "Curves of the worst classes"
    } else {
        "Curves"
    };
    section(title, &body)
}

fn reliability_plot(title: &str, of: &Reliability) -> String {
    let bars = of
        .bins
        .iter()
        .map(|bin| [bin.range[0], bin.range[1], bin.accuracy]);
    let axes = Axes::percent(title, ["probability", "right"]);
    let plot = axes.plot(&[
        Mark::Bars(bars.collect()),
        Mark::Line {
            points: &[[0.0, 0.0], [1.0, 1.0]],
            color: "muted",
            dashed: true,
        },
    ]);
    format!(
        "<figure>{plot}<figcaption>{}</figcaption></figure>",
        escaped(title)
    )
}

fn calibration(report: &Report<'_>, [before, after]: &[Reliability; 2]) -> String {
    let Some(found) = &report.calibration else {
        return paragraph(&format!(
            "Not calibrated: too few validation images. Expected calibration error {}.",
            percent(before.expected_error)
        )) + &format!(
            "<div class=\"plots\">{}</div>",
            reliability_plot("As trained", before)
        );
    };
    let text = format!(
        "Of images classified with a probability of 80 %, 80 % should be right. The temperature {:.2}, fitted on {} validation images, changes the expected calibration error from {} to {} (with bins of equal size, from {} to {}) and the negative log-likelihood from {:.3} to {:.3}.",
        found.temperature,
        number(found.frames),
        percent(before.expected_error),
        percent(after.expected_error),
        percent(before.adaptive_error),
        percent(after.adaptive_error),
        before.nll,
        after.nll,
    );
    paragraph(&text)
        + &format!(
            "<div class=\"plots\">{}{}</div>",
            reliability_plot("As trained", before),
            reliability_plot("Calibrated", after)
        )
}

fn unknown(report: &Report<'_>, curve: &UnknownCurve) -> String {
    let line = |values: &[f64]| -> Vec<[f64; 2]> {
        let places = values.iter().enumerate();
        places
            .map(|(at, part)| [UnknownCurve::threshold(at), *part])
            .collect()
    };
    let [accepts, rejects] = [&curve.false_accept, &curve.false_reject].map(|of| line(of));
    let axes = Axes::percent(
        "False accepts and false rejects",
        ["threshold of the highest probability", "wrong"],
    );
    let plot = axes.plot(&[
        Mark::Line {
            points: &accepts,
            color: "danger",
            dashed: false,
        },
        Mark::Line {
            points: &rejects,
            color: "c0",
            dashed: false,
        },
    ]);
    let kept = report.calibration.as_ref().and_then(|found| found.unknown);
    let chosen = kept.unwrap_or_else(|| curve.at_reject_rate(0.05));
    let begin = match kept {
        Some(_) => "Below the chosen threshold of",
        None => "No threshold was chosen. Below",
    };
    let mut text = format!(
        "Each class was held out in turn, and its images were classified by a head trained without it. {begin} {}, an image would be called unknown: {} of images of known classes are rejected, {} of those of held-out classes are accepted.",
        percent(chosen.threshold),
        percent(chosen.false_reject),
        percent(chosen.false_accept)
    );
    if report.is_fine_tuned {
        text += " The backbone was fine-tuned on the held-out classes too, so images of something truly new may be taken for a class more often.";
    }
    paragraph(&text)
        + &format!(
            "<div class=\"plots\">{plot}</div><p class=\"legend\"><span><i class=\"danger\"></i>unknown classes, accepted</span> <span><i class=\"c0\"></i>known classes, rejected</span></p>"
        )
}

fn data(report: &Report<'_>) -> String {
    let noun = report.evaluation.noun();
    let mut text = String::new();
    if let Some(leak) = &report.leak {
        text += &section("Leak meter", &paragraph(&leak.sentence(noun)));
    }
    if let Some(found) = &report.folds {
        let folds: Vec<String> = found.folds.iter().map(|part| percent(*part)).collect();
        let body = format!(
            "<p><b>{}</b> of {} from {} sources, each tested with a head that was not trained on its source; macro F1 {}. The folds: {}.</p>",
            measure(&found.accuracy),
            noun.count(found.frames as usize),
            number(found.sources),
            measure(&found.macro_f1),
            folds.join(", ")
        );
        text += &section("Cross-validation by source (head alone)", &body);
    }
    if let Some(curve) = &report.learning {
        let points: Vec<[f64; 2]> = curve
            .points
            .iter()
            .map(|point| [point.sources_per_class, point.accuracy()])
            .collect();
        let lowest = points.iter().map(|[_, y]| *y).fold(1.0, f64::min);
        let last = curve.law.last().or(points.last());
        let axes = Axes {
            title: "Test accuracy over sources per class",
            names: ["sources per class", "test accuracy"],
            x: [0.0, last.map_or(1.0, |[x, _]| *x)],
            y: [((lowest - 0.05).max(0.0) * 20.0).floor() / 20.0, 1.0],
            x_percent: false,
        };
        let plot = axes.plot(&[
            Mark::Line {
                points: &curve.law,
                color: "muted",
                dashed: true,
            },
            Mark::Dots {
                points: &points,
                color: "c0",
                radius: 4.0,
            },
        ]);
        let words = paragraph(&curve.sentence(noun));
        let body = format!("{words}<div class=\"plots\">{plot}</div>");
        text += &section("Learning curve (head alone)", &body);
    }
    text
}

fn sources(report: &Report<'_>) -> String {
    let groups = report.evaluation.by_source();
    if groups.len() < 2 {
        return String::new();
    }
    let mut text =
        "<table><tr><th>source</th><th>right</th><th>of</th><th>accuracy</th></tr>".to_owned();
    for group in groups.iter().take(MOST_SOURCES) {
        let name = report.source_names.get(&group.group);
        _ = write!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name.unwrap_or(&group.group)),
            number(group.correct),
            number(group.total),
            percent(group.accuracy())
        );
    }
    text += "</table>";
    if groups.len() > MOST_SOURCES {
        text += &paragraph(&format!("and {} more", groups.len() - MOST_SOURCES));
    }
    section("Sources, worst first", &text)
}

fn mistakes(report: &Report<'_>) -> String {
    if report.mistakes.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "<p class=\"muted\">{} in total.</p><div class=\"mistakes\">",
        number(report.evaluation.mistakes().len() as u64)
    );
    for mistake in &report.mistakes {
        _ = write!(
            text,
            "<figure><img alt=\"\" src=\"data:image/jpeg;base64,{}\"><figcaption><b>{}</b> taken for <b>{}</b> at {}</figcaption></figure>",
            mistake.jpeg_base64,
            escaped(&mistake.truth),
            escaped(&mistake.called),
            percent(mistake.probability)
        );
    }
    text += "</div>";
    section("Most confident mistakes", &text)
}

fn settings(report: &Report<'_>) -> String {
    let mut text = "<table class=\"settings\">".to_owned();
    for (name, value) in &report.settings {
        _ = write!(
            text,
            "<tr><td>{}</td><td>{}</td></tr>",
            escaped(name),
            escaped(value)
        );
    }
    text += "</table>";
    section("How it was trained", &text)
}

/// One column on a screen, A4 on paper; sections and rows are not divided between pages.
const STYLE: &str = "
:root{--text:#1b1e24;--muted:#5a616d;--line:#d9dde3;--accent:#b36b00;--danger:#b3261e}
*{box-sizing:border-box}
body{margin:0;font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:var(--text);background:#fff}
main{max-width:860px;margin:0 auto;padding:28px 20px 40px}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}h2{font-size:16px;margin:26px 0 8px;padding-top:10px;border-top:1px solid var(--line)}
p{margin:6px 0}.muted,.legend,figcaption,small{color:var(--muted)}small{font-size:.82em}
.note{border-left:3px solid var(--accent);padding-left:10px}
.figures{display:flex;flex-wrap:wrap;gap:10px 34px;margin:14px 0}
.figures div{display:flex;flex-direction:column}.figures b{font-size:22px}.figures span{color:var(--muted)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:3px 10px 3px 0;text-align:right;font-weight:400;white-space:nowrap}
th{color:var(--muted)}td:first-child,th:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere}
table tr+tr td{border-top:1px solid var(--line)}
.wide{overflow-x:auto}
.matrix td,.matrix th{padding:0;border:1px solid #fff}.matrix td{min-width:30px;height:24px;text-align:center;border-radius:4px;font-size:12px}
.matrix th{padding-right:8px;color:var(--text)}.matrix th.up{vertical-align:bottom;height:1px;padding:0 0 4px}
.matrix th.up span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:130px;overflow:hidden;color:var(--muted)}
.matrix .hit{background:rgba(214,137,16,var(--s))}.matrix .miss{background:rgba(179,38,30,var(--s))}.matrix .miss.full{color:#fff}
.matrix td{background-color:#f4f5f7}
.plots{display:flex;flex-wrap:wrap;gap:16px}.plots>*{flex:1 1 300px;max-width:400px;margin:0}.plots svg{width:100%;height:auto}
.grid{stroke:#e6e9ee;stroke-width:1}.tick,.axis{font-size:10px;fill:var(--muted)}
.line{fill:none;stroke-width:1.8}.dashed{stroke-dasharray:4 4;stroke-width:1.2}.bar{fill:#e5b45c;stroke:#b36b00;stroke-width:.6}
.c0{stroke:#0072b2;--c:#0072b2}.c1{stroke:#e69f00;--c:#e69f00}.c2{stroke:#009e73;--c:#009e73}.c3{stroke:#cc79a7;--c:#cc79a7}.c4{stroke:#d55e00;--c:#d55e00}.c5{stroke:#56b4e9;--c:#56b4e9}.c6{stroke:#7a7a00;--c:#7a7a00}.c7{stroke:#444;--c:#444}
.line.muted{stroke:#8a919d}.danger{stroke:#b3261e;--c:#b3261e}.dot{fill:var(--c);stroke:#fff}
.legend span{margin-right:14px;white-space:nowrap}.legend i{display:inline-block;width:14px;height:3px;margin-right:6px;vertical-align:middle;background:var(--c)}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}.mistakes figure{margin:0;break-inside:avoid}
.mistakes img{width:100%;height:110px;object-fit:contain;background:#f4f5f7;border-radius:6px}.mistakes figcaption{font-size:12px}
@page{size:A4;margin:14mm}
@media print{main{max-width:none;padding:0}body{font-size:11px}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
section,figure,tr{break-inside:avoid}h2{break-after:avoid;margin-top:16px}.matrix td{min-width:24px;height:20px}.figures b{font-size:18px}}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(
            escaped("<script>alert('x') & \"y\"</script>"),
            "&lt;script&gt;alert(&#39;x&#39;) &amp; &quot;y&quot;&lt;/script&gt;"
        );
        assert_eq!(escaped("tac\u{202e}\n<b>"), "tac\\u{202e}\\n&lt;b&gt;");
        let found = Measure {
            value: Some(0.8412),
            interval_95: Some([0.701, 0.929]),
        };
        assert_eq!(measure(&found), "84.1\u{202f}% <small>(70 to 93)</small>");
    }
}
