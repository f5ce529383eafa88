//! The library's public API, a line an item, against the list in the repository: so that nobody changes it unawares, and
//! a release knows whether it breaks anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Outcome, cargo, succeed};

const LIST: &str = "tests/public-api.txt";
/// What `public-api` reads, and with Rust 1.95 writes.
const FORMAT: u64 = 57;

pub(crate) fn update(root: &Path) -> Outcome {
    let path = root.join(LIST);
    fs::write(&path, list(root)?).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn compare(root: &Path) -> Outcome {
    let path = root.join(LIST);
    let known = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (missing, new) = difference(&known, &list(root)?);
    if missing.is_empty() && new.is_empty() {
        println!("the public API is that of {LIST}: {} items", known.lines().count());
        return Ok(());
    }
    let lines =
        |sign, items: &[String]| items.iter().map(|item| format!("{sign} {item}\n")).collect::<String>();
    Err(format!(
        "the public API is not that of {LIST}:\n{}{}{}; if this is meant, `cargo xtask public-api --update`",
        lines('-', &missing),
        lines('+', &new),
        match missing.is_empty() {
            true => "nothing is taken away: a minor version",
            false => "something is taken away or changed: a version that Cargo takes for incompatible",
        },
    ))
}

/// What `known` alone has, and what `found` alone has. An item may be there more than once: two `impl` blocks, say.
fn difference(known: &str, found: &str) -> (Vec<String>, Vec<String>) {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in known.lines() {
        *counts.entry(line).or_default() -= 1;
    }
    for line in found.lines() {
        *counts.entry(line).or_default() += 1;
    }
    let of = |sign: i64| {
        let lines = counts.iter().filter(|(_, count)| count.signum() == sign);
        lines.map(|(line, _)| (*line).to_string()).collect()
    };
    (of(-1), of(1))
}

/// Set where this program stands in for rustdoc.
const RUSTDOC: &str = "FSVAE_XTASK_RUSTDOC";

/// Rustdoc's JSON is unstable, and `RUSTC_BOOTSTRAP` lets a stable one write it. Rustdoc alone has it: dependencies that
/// look for a nightly compiler would be built anew. So this program is what Cargo takes for rustdoc.
pub(crate) fn rustdoc() -> Option<Outcome> {
    let rustdoc = std::env::var_os(RUSTDOC)?;
    let arguments = std::env::args_os().skip(1);
    Some(succeed(Command::new(rustdoc).args(arguments).env("RUSTC_BOOTSTRAP", "1")))
}

/// The items with all features.
fn list(root: &Path) -> Result<String, String> {
    let options = ["--package", "fsvae", "--lib", "--all-features", "--locked", "--release"];
    let mut rustdoc = cargo(&["rustdoc", "--quiet", "--target-dir", "target"]);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    rustdoc.env(RUSTDOC, std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()));
    rustdoc.env("RUSTDOC", program).args(options).args([
        "--",
        "-Z",
        "unstable-options",
        "--output-format",
        "json",
        "--cap-lints",
        "allow",
    ]);
    succeed(&mut rustdoc)?;
    let json = root.join("target/doc/fsvae.json");
    let text = fs::read_to_string(&json).map_err(|error| format!("{}: {error}", json.display()))?;
    let format =
        serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|it| it["format_version"].as_u64());
    if format != Some(FORMAT) {
        return Err(format!(
            "this rustdoc writes JSON of format {}, xtask reads {FORMAT}: use Rust 1.95 (`cargo +1.95.0 xtask ..`), or \
             the version of public-api that reads it, in xtask/Cargo.toml",
            format.map_or_else(|| "unknown".into(), |format| format.to_string()),
        ));
    }
    // Blanket implementations say nothing about a type; Send, Sync, Unpin, UnwindSafe do.
    let api = public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build();
    let api = api.map_err(|error| error.to_string())?;
    // The compiler's own traits, which nobody can name.
    let hidden =
        ["Freeze", "UnsafeUnpin", "StructuralPartialEq"].map(|name| format!("core::marker::{name} for "));
    let lines = api.items().map(|item| item.to_string() + "\n");
    Ok(lines.filter(|line| !hidden.iter().any(|part| line.contains(part))).collect())
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn an_item_that_is_gone_and_one_that_came_are_told_apart() {
        let (missing, new) = difference("a\nb\nb\nc\n", "a\nb\nc\nd\n");
        assert_eq!((missing, new), (vec!["b".to_string()], vec!["d".to_string()]));
        assert_eq!(difference("a\nb\n", "b\na\n"), (vec![], vec![]));
    }
}
