//! Numbers for people.

/// Three digits and a prefix: 18.9 M.
pub(super) fn si(number: f64) -> String {
    let scales = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match scales.into_iter().find(|(scale, _)| number.abs() >= 0.9995 * scale) {
        Some((scale, prefix)) => format!("{} {prefix}", digits(number / scale)),
        None => digits(number),
    }
}

/// Nanoseconds with their unit: 1.23 ms.
pub(super) fn time(nanoseconds: f64) -> String {
    let scales = [(1e9, "s"), (1e6, "ms"), (1e3, "us")];
    match scales.into_iter().find(|(scale, _)| nanoseconds >= 0.9995 * scale) {
        Some((scale, unit)) => format!("{} {unit}", digits(nanoseconds / scale)),
        None => format!("{} ns", digits(nanoseconds)),
    }
}

/// Three significant digits, as far as a number has so many before its point.
pub(super) fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.09995 => 3,
        _ => 4,
    };
    format!("{number:.decimals$}")
}

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
    fn numbers_have_three_digits_and_a_unit() {
        let shown = [0.0, 0.5, 9.999, 999.9, 12_345.0, 18.9e6, 2.5e13].map(si);
        assert_eq!(shown, ["0", "0.500", "10.0", "1.00 k", "12.3 k", "18.9 M", "25.0 T"]);
        let shown = [12.0, 999.99, 2_500.0, 1.5e6, 2e10].map(time);
        assert_eq!(shown, ["12.0 ns", "1.00 us", "2.50 us", "1.50 ms", "20.0 s"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [vec!["a".into(), "bcd".into()], vec!["long".into(), "e".into(), "f".into()]];
        assert_eq!(columns(1, &rows), "a     bcd\nlong    e  f\n");
        assert_eq!(columns(2, &rows), "a     bcd\nlong  e    f\n");
    }
}
