//! Tables of text.

/// Lines with columns as wide as they need be: the first `left` to the left, all others to the right.
pub(super) fn columns(left: usize, rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            at if at < left => format!("  {cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        text += cells.collect::<String>().trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [vec!["a".into(), "bcd".into()], vec!["long".into(), "e".into(), "f".into()]];
        assert_eq!(columns(1, &rows), "a     bcd\nlong    e  f\n");
        assert_eq!(columns(2, &rows), "a     bcd\nlong  e    f\n");
    }
}
