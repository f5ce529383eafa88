//! Numbers for people.

/// Three digits and a prefix: 18.9 M.
pub fn si(number: f64) -> String {
    let scales = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match scales.into_iter().find(|(scale, _)| number.abs() >= 0.9995 * scale) {
        Some((scale, prefix)) => format!("{} {prefix}", digits(number / scale)),
        None => digits(number),
    }
}

/// Nanoseconds with their unit: 1.23 ms.
pub fn time(nanoseconds: f64) -> String {
    let scales = [(1e9, "s"), (1e6, "ms"), (1e3, "us")];
    match scales.into_iter().find(|(scale, _)| nanoseconds >= 0.9995 * scale) {
        Some((scale, unit)) => format!("{} {unit}", digits(nanoseconds / scale)),
        None => format!("{} ns", digits(nanoseconds)),
    }
}

/// Three significant digits, as far as a number has so many before its point.
pub fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.09995 => 3,
        _ => 4,
    };
    format!("{number:.decimals$}")
}

/// A rate or count with commas and three significant digits: 84,300.
pub(super) fn grouped(number: f64) -> String {
    let digits = digits(number);
    let scale = 10_f64.powi((number.abs().log10().floor() as i32 - 2).max(0));
    if number < 999.5 {
        return digits;
    }
    let text = format!("{:.0}", (number / scale).round() * scale);
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Lines with columns as wide as they need be: the first `left` to the left, all others to the right.
pub fn columns(left: usize, rows: &[Vec<String>]) -> String {
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

/// Line breaks and other control characters as Rust writes them in a string: a file may be called anything.
pub fn one_line(text: &str) -> String {
    text.trim_end().chars().fold(String::with_capacity(text.len()), |mut line, character| {
        match character {
            // Control characters, and those that turn the direction of a line.
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                line.extend(character.escape_default());
            }
            _ => line.push(character),
        }
        line
    })
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
    fn large_rates_have_commas() {
        let shown = [0.5, 119.4, 999.9, 1_750.0, 84_312.0, 1_234_567.0].map(grouped);
        assert_eq!(shown, ["0.500", "119", "1,000", "1,750", "84,300", "1,230,000"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [vec!["a".into(), "bcd".into()], vec!["long".into(), "e".into(), "f".into()]];
        assert_eq!(columns(1, &rows), "a     bcd\nlong    e  f\n");
        assert_eq!(columns(2, &rows), "a     bcd\nlong  e    f\n");
    }
}
