//! Files that people take for checkpoints, called what they are.

use super::container::HEAD;
use super::names::shown;
use super::signatures::{Kind, signature};

const CONVERT: &str = "give the model's weights as safetensors or as PyTorch's .pth";
const UNPACK: &str = "unpack it and give the file inside";
const LFS: &str = "fetch the file itself: `git lfs install`, then `git lfs pull`";
const ANNEX: &str = "fetch the file itself: `git annex get`";
const DOWNLOAD: &str = "download the file itself, by its \"raw\" or \"download\" link";
const ANSWER: &str = "download the file itself: a server may have answered with an error";
/// What helps whatever the file should have been.
const ALWAYS: [&str; 5] = [UNPACK, LFS, ANNEX, DOWNLOAD, ANSWER];
const PICTURE: &str =
    "`fsvae reconstruct` and `encode` take pictures; a checkpoint is safetensors or PyTorch's .pth";
const SAVE_AGAIN: &str = "save it again with PyTorch 1.6 or later: python -c \"import torch; \
    torch.save(torch.load('in.pth', map_location='cpu', weights_only=True), 'out.pth')\"";
pub(super) const FROM_NUMPY: &str = "convert it: python -c \"import numpy; from safetensors.numpy import save_file; \
    save_file(dict(numpy.load('in.npz')), 'out.safetensors')\"";

/// What a file with this beginning is, and what to do about it.
pub(super) fn identify(head: &[u8]) -> Option<(String, &'static str)> {
    if let Some((what, kind)) = signature(head) {
        let advice = match kind {
            Kind::Picture | Kind::Photo | Kind::Drawing | Kind::Spoilt => PICTURE,
            Kind::Archive => UNPACK,
            Kind::Array => "a checkpoint has many tensors with names; save it as safetensors",
            Kind::OldTorch => SAVE_AGAIN,
            Kind::Numbers | Kind::Film | Kind::Document => CONVERT,
        };
        return named(what, advice);
    }
    if let [0x80, protocol @ 2..=5, ..] = head {
        return Some((
            format!("a Python pickle (protocol {protocol}) that torch.save did not write"),
            SAVE_DICT,
        ));
    }
    text(head)
}

/// What a file is that no tensors of ours are read from, in words, and what to do if that does not depend on what it
/// should have been.
#[doc(hidden)]
pub fn recognize(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("an empty file".into());
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Some("a file of zeros, as a download or a copy that broke off leaves it".into());
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    if head.starts_with(b"PK\x03\x04") {
        return Some(if is_torch(head) {
            "a zip archive, as PyTorch's .pth is, which --model takes".into()
        } else {
            format!("a zip archive; {UNPACK}")
        });
    }
    let (what, advice) = identify(head)?;
    Some(if ALWAYS.contains(&advice) { format!("{what}; {advice}") } else { what })
}

/// [`recognize`] for those who wanted a picture that is read; `None` for such a picture, whatever is wrong with it.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub fn not_a_picture(bytes: &[u8]) -> Option<String> {
    let found = |what: &str, advice: &str| Some(format!("{what}; {advice}"));
    match signature(&bytes[..bytes.len().min(HEAD)]) {
        Some((_, Kind::Picture)) => None,
        Some((what, Kind::Photo | Kind::Drawing)) => found(what, "save it as JPEG or PNG"),
        Some((what, Kind::Spoilt)) => found(what, "copy or download it again, as binary"),
        Some((what, Kind::Film)) => found(what, "save its frames as pictures: ffmpeg -i FILM frame-%05d.png"),
        _ => recognize(bytes),
    }
}

/// Whether the first record of a zip archive is the one that torch.save writes first.
fn is_torch(head: &[u8]) -> bool {
    let length =
        head.get(26..28).and_then(|length| length.first_chunk()).map(|length| u16::from_le_bytes(*length));
    let name = length.and_then(|length| head.get(30..30 + usize::from(length)));
    name.is_some_and(|name| name == b"data.pkl" || name.ends_with(b"/data.pkl"))
}

/// What to do with a pickle that is more than tensors.
pub(super) const SAVE_DICT: &str = "save the state_dict: torch.save(net.state_dict(), 'model.pth')";
/// What to do with an object, by those who have the program and by those who have the file.
pub(super) const SAVE_MODULE: &str = "save the state_dict: torch.save(net.state_dict(), 'model.pth'); or, if you trust \
    the file, which runs the code in it: torch.save(torch.load('in.pth', map_location='cpu', weights_only=False)\
    .state_dict(), 'out.pth')";
/// What to do with a dictionary of more than tensors.
pub(super) const SAVE_TENSORS: &str = "if you trust the file, which runs the code in it, save the tensors alone: \
    python -c \"import torch; saved = torch.load('in.pth', map_location='cpu', weights_only=False); \
    saved = saved.get('state_dict', saved); \
    torch.save({name: value for name, value in saved.items() if torch.is_tensor(value)}, 'out.pth')\"";

/// What to do with tensors that are not plain, where `plain` is what makes one so.
pub(super) fn make_plain(plain: &str) -> String {
    if plain.is_empty() {
        return "save the model after its weights are loaded".into();
    }
    format!(
        "make all tensors plain: torch.save({{name: value{plain} for name, value in net.state_dict().items()}}, \
         'model.pth')"
    )
}

fn named(what: &str, advice: &'static str) -> Option<(String, &'static str)> {
    Some((what.to_owned(), advice))
}

fn text(head: &[u8]) -> Option<(String, &'static str)> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    // The head may end within a character.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let printable = |c: char| !c.is_control() || c.is_ascii_whitespace();
    let start = text.trim_start();
    if start.is_empty() || !text.chars().all(printable) {
        return None;
    }
    let lower = start.chars().take(256).collect::<String>().to_ascii_lowercase();
    let quoted: String = start.lines().next().unwrap_or_default().chars().take(40).collect();
    if lower.starts_with("version https://git-lfs.") || lower.starts_with("version https://hawser.") {
        return named("a Git LFS pointer, not the file it points to", LFS);
    }
    if lower.contains("/annex/objects/") {
        return named("a git-annex pointer, not the file it points to", ANNEX);
    }
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| lower.starts_with(tag)) {
        return named("an HTML page, perhaps of a sign-in or an error", DOWNLOAD);
    }
    if start.starts_with('<') {
        let what = format!("an XML or HTML text (`{}`)", shown(&quoted));
        return Some((what, ANSWER));
    }
    if start.starts_with(['{', '[']) {
        if text.contains("\"weight_map\"") {
            return named(
                "the index of a sharded model, which has no weights itself",
                "load its shards in Python and save all tensors in one .safetensors or .pth",
            );
        }
        let what = format!("a JSON text (`{}`)", shown(&quoted));
        return Some((what, "give the file with the weights, safetensors or PyTorch's .pth"));
    }
    let what = format!("a text (`{}`)", shown(&quoted));
    Some((what, "a checkpoint is safetensors or PyTorch's .pth"))
}
