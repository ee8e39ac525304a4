//! Tables and figures for people.

use crate::text::{self, visible};

/// A column.
pub enum Align {
    /// Text.
    Left,
    /// Figures.
    Right,
}

/// Rows below a heading, columns two spaces apart; the first row of `rows` is the heading. A cell is one line.
pub fn table(aligns: &[Align], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<_>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| visible(cell)).collect())
        .collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..aligns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(aligns)
            .zip(&widths)
            .map(|((cell, align), &width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A part of one as a percentage with one decimal, a dash for none.
pub fn percent(part: Option<f32>) -> String {
    part.map_or_else(|| "–".to_owned(), text::percent)
}

/// A size in the unit that suits it.
pub fn size(bytes: u64) -> String {
    const KB: f64 = 1000.0;
    let bytes_f = bytes as f64;
    if bytes_f < KB {
        format!("{bytes} B")
    } else if bytes_f < KB * KB {
        format!("{:.1} kB", bytes_f / KB)
    } else if bytes_f < KB * KB * KB {
        format!("{:.1} MB", bytes_f / (KB * KB))
    } else {
        format!("{:.1} GB", bytes_f / (KB * KB * KB))
    }
}

/// "1 frame", "2 frames".
pub fn count(number: u64, thing: &str) -> String {
    let plural = match (number, thing.strip_suffix('s')) {
        (1, _) => thing.to_owned(),
        (_, Some(_)) => format!("{thing}es"),
        _ => format!("{thing}s"),
    };
    format!("{number} {plural}")
}

/// Names in one line with commas between them; one that holds a comma itself, in quotation marks.
pub fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.map(|name| {
        if name.contains(',') {
            format!("“{}”", visible(name))
        } else {
            visible(name).into_owned()
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["class".to_owned(), "frames".to_owned()],
            vec!["Bär".to_owned(), "7".to_owned()],
        ];
        assert_eq!(
            table(&[Align::Left, Align::Right], &rows),
            "class  frames\nBär         7\n"
        );
    }

    #[test]
    fn numbers_have_units_and_plurals() {
        assert_eq!(percent(Some(0.9344)), "93.4 %");
        assert_eq!(percent(None), "–");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(18_600_000), "18.6 MB");
        assert_eq!(count(1, "class"), "1 class");
        assert_eq!(count(2, "class"), "2 classes");
        assert_eq!(count(0, "frame"), "0 frames");
        assert_eq!(
            names(["salt, pepper", "oil"].into_iter()),
            "“salt, pepper”, oil"
        );
    }
}
