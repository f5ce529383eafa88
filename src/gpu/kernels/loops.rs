//! Why [`Loops::Audited`](super::Loops) is sound: every loop of `shaders/` ends, by its form.

use std::fs;

/// Whether a loop ends; `body` is what stands behind its line. Three forms do:
/// - a counter of its own that goes up to a bound (`<`, `<=`), by one or by steps that are not 0, or down to 0;
/// - a word that loses its lowest bit in each turn, until it is 0;
/// - the halving of an interval.
fn ends(head: &str, body: &str) -> bool {
    if let Some(counted) = head.strip_prefix("for (var ") {
        let Some((name, rest)) = counted.split_once(" = ") else { return false };
        let [_, condition, step] = rest.trim_end_matches(") {").split("; ").collect::<Vec<_>>()[..] else {
            return false;
        };
        let steps = |text: &str| step.strip_prefix(name).is_some_and(|step| step == text);
        let adds = step.strip_prefix(name).and_then(|step| step.strip_prefix(" += "));
        // Constants, none of which is 0, and their products with a number of workgroups, which is not either.
        let some = |by: &str| by.starts_with(|first: char| matches!(first, '1'..='9' | 'A'..='Z'));
        let up =
            condition.starts_with(&format!("{name} < ")) || condition.starts_with(&format!("{name} <= "));
        // Another way on, beside the bound, may have no end.
        let bounded = !condition.contains("||") && !assigned(name, body);
        bounded
            && (up && (steps("++") || adds.is_some_and(some))
                || condition == format!("{name} > 0u") && steps("--"))
    } else if let Some(word) = head.strip_prefix("while (").and_then(|rest| rest.strip_suffix(" != 0u) {")) {
        let loses = format!("{word} &= {word} - 1u;");
        body.contains(&loses) && !assigned(word, &body.replace(&loses, ""))
    } else {
        let halved = ["let middle = (low + high) / 2u;", "low = middle + 1u;", "high = middle;"];
        head == "while (low < high) {" && halved.iter().all(|line| body.contains(line))
    }
}

/// Whether a variable changes in a text.
fn assigned(name: &str, text: &str) -> bool {
    let changes = [" = ", " += ", " -= ", " &= ", " |= ", "++;", "--;"];
    text.lines()
        .any(|line| changes.iter().any(|change| line.trim_start().starts_with(&format!("{name}{change}"))))
}

/// The lines of a block up to where its indentation ends.
fn block<'a>(lines: &[&'a str], indentation: usize) -> Vec<&'a str> {
    let inside = |line: &&&str| line.trim().is_empty() || line.len() - line.trim_start().len() > indentation;
    lines.iter().take_while(inside).copied().collect()
}

/// The loops of a text, and whether each ends.
fn loops(text: &str) -> Vec<(&str, bool)> {
    let lines: Vec<&str> = text.lines().collect();
    let code = |line: &str| line.split("//").next().unwrap_or_default().trim().to_owned();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let head = code(line);
        if ["for (", "while ", "loop "].iter().any(|word| head.starts_with(word)) {
            let body = block(&lines[at + 1..], line.len() - line.trim_start().len()).join("\n");
            found.push((line.trim(), ends(&head, &body)));
        }
    }
    found
}

#[test]
fn every_loop_of_a_shader_ends() {
    let mut count = 0;
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).expect("shaders") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("text");
        let words =
            text.matches("for (").count() + text.matches("while (").count() + text.matches("loop {").count();
        let found = loops(&text);
        assert_eq!(found.len(), words, "{}: a loop that does not begin its line", path.display());
        for (line, ends) in found {
            assert!(ends, "{}: `{line}`: it is not seen that it ends", path.display());
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn a_loop_that_may_not_end_is_seen() {
    for (text, ends) in [
        ("for (var i = 0u; i < 4u; i++) {\n    x += i;\n}", true),
        ("for (var i = 0u; i < 4u; i += 0u) {\n    x += i;\n}", false),
        ("for (var i = 0u; i < 4u; j++) {\n    x += i;\n}", false),
        ("for (var i = 0u; j < 4u; i++) {\n    x += i;\n}", false),
        ("for (var i = 0u; i < 4u; i++) {\n    i = 0u;\n}", false),
        ("for (var i = 0u; i < 4u || x; i++) {\n}", false),
        ("while (mask != 0u) {\n    mask &= mask - 1u;\n    mask |= 1u;\n}", false),
        ("for (var i = 4u; i >= 0u; i--) {\n}", false),
        ("while (mask != 0u) {\n    mask &= mask - 1u;\n}", true),
        ("while (mask != 0u) {\n    mask &= mask >> 1u;\n}", false),
        ("while (mask != 0u) {\n    x += 1u;\n}\nmask &= mask - 1u;", false),
        ("while (low < high) {\n    low = middle;\n}", false),
        ("loop {\n    break;\n}", false),
    ] {
        assert_eq!(loops(text).first().map(|&(_, ends)| ends), Some(ends), "{text}");
    }
}
