//! Paths with a number in them: `{index}` or `{step}`, padded with zeros as in `{index:06}`. The bytes around it may be
//! anything that a path may be.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Placeholder {
    Index,
    Step,
}

impl Placeholder {
    fn name(self) -> &'static str {
        match self {
            Placeholder::Index => "index",
            Placeholder::Step => "step",
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::cli) struct Pattern {
    shown: PathBuf,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(OsString),
    /// At least so many digits.
    Number(usize),
}

/// The widest padding; no 64-bit number has more digits.
const WIDEST: usize = 20;

impl Pattern {
    /// `{{`, `}}` and, before what looks like `%05d`, `%%` stand for one of the two. Any other brace, and `%05d`
    /// itself, is refused: surely a number was meant.
    pub(in crate::cli) fn new(path: &Path, allowed: Option<Placeholder>) -> Result<Self, Failure> {
        let units = units(path.as_os_str());
        let (mut pieces, mut text, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(&unit) = units.get(at) {
            let rest = &units[at..];
            at += 1;
            match ascii(unit) {
                brace @ (b'{' | b'}') if rest.get(1).is_some_and(|&next| ascii(next) == brace) => {
                    text.push(unit);
                    at += 1;
                }
                b'{' => {
                    let length =
                        rest.iter().position(|&unit| ascii(unit) == b'}').map_or(rest.len(), |end| end + 1);
                    let field = os_string(&rest[..length]);
                    let width = allowed.and_then(|allowed| width(field.to_str()?, allowed.name()));
                    let width = width.ok_or_else(|| refuse(path, &field, allowed))?;
                    pieces.extend([Piece::Text(os_string(&std::mem::take(&mut text))), Piece::Number(width)]);
                    at += length - 1;
                }
                b'}' => return Err(refuse(path, OsStr::new("}"), allowed)),
                b'%' if printf(&rest[1..]).is_some() => {
                    let length = 1 + printf(&rest[1..]).unwrap_or_default();
                    return Err(refuse(path, &os_string(&rest[..length]), allowed));
                }
                b'%' if rest.get(1).is_some_and(|&next| ascii(next) == b'%')
                    && printf(&rest[2..]).is_some() =>
                {
                    text.push(unit);
                    let length = printf(&rest[2..]).unwrap_or_default();
                    text.extend(&rest[2..2 + length]);
                    at += 1 + length;
                }
                _ => text.push(unit),
            }
        }
        pieces.push(Piece::Text(os_string(&text)));
        Ok(Pattern { shown: path.into(), pieces })
    }

    /// Whether [`Pattern::new`] takes a path.
    pub(in crate::cli) fn check(path: &Path, allowed: Option<Placeholder>) -> Result<(), Failure> {
        Pattern::new(path, allowed).map(drop)
    }

    /// Whether there is no number in it.
    pub(in crate::cli) fn is_plain(&self) -> bool {
        self.pieces.len() == 1
    }

    /// The path of one number.
    pub(in crate::cli) fn path(&self, number: u64) -> PathBuf {
        let mut path = OsString::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push(text),
                Piece::Number(width) => path.push(format!("{number:0width$}")),
            }
        }
        path.into()
    }

    /// What is the same for all numbers: the deepest directory without one in its name.
    pub(in crate::cli) fn directory(&self) -> PathBuf {
        let (first, second) = (self.path(0), self.path(1));
        let same = first.components().zip(second.components()).take_while(|(a, b)| a == b);
        let directory: PathBuf = same.map(|(component, _)| component).collect();
        if directory == first { directory.parent().unwrap_or(Path::new("")).into() } else { directory }
    }

    /// As it was given.
    pub(in crate::cli) fn shown(&self) -> &Path {
        &self.shown
    }
}

fn refuse(path: &Path, field: &OsStr, allowed: Option<Placeholder>) -> Failure {
    let expected = match allowed.map(Placeholder::name) {
        Some(name) => format!("write {{{name}}}, or {{{name}:06}} for six digits"),
        None => "no number goes into this name".into(),
    };
    let twice = if field.to_string_lossy().starts_with('%') {
        "%% is a plain %"
    } else {
        "{{ and }} are plain braces"
    };
    let field = field.display();
    Failure::Input(format!("{}: `{field}` is unknown here; {expected} ({twice})", path.display()))
}

/// Digits of `{index}` or `{index:06}`.
fn width(field: &str, name: &str) -> Option<usize> {
    let field = field.strip_prefix('{')?.strip_suffix('}')?.strip_prefix(name)?;
    if field.is_empty() {
        return Some(0);
    }
    let digits = field.strip_prefix(":0")?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|&width| plain && (1..=WIDEST).contains(&width))
}

/// The length of what follows the % of a number in C's `printf`, as programs that write many files take it: `%05d`, or
/// `%d` at the end of a word. `%20d` is a space and a letter in an address of the web, and `50%discount` a price.
fn printf(units: &[Unit]) -> Option<usize> {
    let digits = units.iter().take_while(|&&unit| ascii(unit).is_ascii_digit()).count();
    let is_number = units.get(digits).is_some_and(|&unit| b"diu".contains(&ascii(unit)));
    let is_meant = match digits {
        0 => !units.get(1).is_some_and(|&unit| ascii(unit).is_ascii_alphabetic()),
        _ => ascii(units[0]) == b'0',
    };
    (is_number && is_meant).then_some(digits + 1)
}

/// The unit as ASCII; 255, which is no character of ASCII, for all else.
fn ascii(unit: Unit) -> u8 {
    u8::try_from(u32::from(unit)).unwrap_or(u8::MAX)
}

#[cfg(unix)]
type Unit = u8;
#[cfg(windows)]
type Unit = u16;

#[cfg(unix)]
fn units(text: &OsStr) -> Vec<Unit> {
    std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
}

#[cfg(windows)]
fn units(text: &OsStr) -> Vec<Unit> {
    std::os::windows::ffi::OsStrExt::encode_wide(text).collect()
}

#[cfg(unix)]
fn os_string(units: &[Unit]) -> OsString {
    <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(units).into()
}

#[cfg(windows)]
fn os_string(units: &[Unit]) -> OsString {
    <OsString as std::os::windows::ffi::OsStringExt>::from_wide(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, number: u64) -> PathBuf {
        Pattern::new(Path::new(text), Some(Placeholder::Index)).expect(text).path(number)
    }

    #[test]
    fn numbers_and_padding() {
        for (text, expected) in [
            ("a-{index}.png", "a-42.png"),
            ("{index:06}.png", "000042.png"),
            ("{index:01}{index}", "4242"),
            ("d{index:03}/{index}.png", "d042/42.png"),
            ("{index:020}", "00000000000000000042"),
            ("{{index}}.png", "{index}.png"),
            ("a%%05d%%d.png", "a%05d%d.png"),
            ("100%.png", "100%.png"),
            ("a%%b%20b.png", "a%%b%20b.png"),
            ("my%20digits.png", "my%20digits.png"),
            ("50%discount-{index}.png", "50%discount-42.png"),
            ("100%using%20it.png", "100%using%20it.png"),
        ] {
            assert_eq!(path(text, 42), Path::new(expected), "{text}");
        }
        assert_eq!(path("{index:03}", u64::MAX), Path::new("18446744073709551615"));
    }

    #[test]
    fn anything_else_in_braces_is_refused_by_name() {
        for (text, named) in [
            ("a-{}.png", "`{}`"),
            ("a-{step}.png", "`{step}`"),
            ("a-{index:5}.png", "`{index:5}`"),
            ("a-{index:0}.png", "`{index:0}`"),
            ("a-{index:0+5}.png", "`{index:0+5}`"),
            ("a-{index:0999}.png", "`{index:0999}`"),
            ("a-{Index}.png", "`{Index}`"),
            ("a-{index.png", "`{index.png`"),
            ("a-index}.png", "`}`"),
            ("d{x}/{index}.png", "`{x}`"),
            ("a-%05d.png", "`%05d`"),
            ("a-%d.png", "`%d`"),
            ("%i", "`%i`"),
            ("a-%05dpx.png", "`%05d`"),
            ("%d_%d.png", "`%d`"),
        ] {
            let error = Pattern::new(Path::new(text), Some(Placeholder::Index)).expect_err(text);
            assert_eq!(error.code(), 2);
            assert!(error.to_string().contains(named), "{error}");
            assert!(error.to_string().contains("{index:06}"), "{error}");
        }
        assert!(Pattern::new(Path::new("z-{index}"), None).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn names_that_are_not_utf_8() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        let pattern = OsStr::from_bytes(b"\xff{index:02}\xfe.png");
        let pattern = Pattern::new(Path::new(pattern), Some(Placeholder::Index)).expect("a pattern");
        assert_eq!(pattern.path(7).into_os_string().into_vec(), b"\xff07\xfe.png");
    }

    #[test]
    fn the_directory_of_all() {
        for (text, expected) in
            [("a/b/{index}.png", "a/b"), ("a/{index}/b.png", "a"), ("{index}.png", ""), ("/{index}/x", "/")]
        {
            let pattern = Pattern::new(Path::new(text), Some(Placeholder::Index)).expect(text);
            assert_eq!(pattern.directory(), Path::new(expected), "{text}");
        }
    }
}
