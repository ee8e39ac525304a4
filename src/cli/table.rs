//! Tables and lists for people.

use crate::text::visible;

/// A column.
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows below a heading, with columns two spaces apart; the first row of `rows` is the heading. A cell has one line.
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

/// Names in one line, separated by commas; a name that contains a comma is in quotation marks.
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
    fn a_name_with_a_comma_is_quoted() {
        assert_eq!(
            names(["salt, pepper", "oil"].into_iter()),
            "“salt, pepper”, oil"
        );
    }
}
