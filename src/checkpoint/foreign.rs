//! Files that people take for checkpoints, called what they are.

use super::container::HEAD;
use super::names::shown;

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

/// First bytes, what has them and what to do about it.
const SIGNATURES: [(&[u8], &str, &str); 20] = [
    (
        b"\x93NUMPY",
        "a NumPy array (.npy)",
        "a checkpoint has many tensors with names; save it as safetensors",
    ),
    (b"GGUF", "a GGUF model of llama.cpp", CONVERT),
    (b"ggml", "a GGML model of llama.cpp", CONVERT),
    (b"lmgg", "a GGML model of llama.cpp", CONVERT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras' .h5)", CONVERT),
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "a PyTorch file of the old format, before 1.6",
        SAVE_AGAIN,
    ),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"SQLite format 3\0", "an SQLite database", CONVERT),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", PICTURE),
    (b"\xff\xd8\xff", "a JPEG picture", PICTURE),
    (b"GIF8", "a GIF picture", PICTURE),
    (b"%PDF-", "a PDF document", CONVERT),
    (b"\x7fELF", "a program (ELF)", CONVERT),
    (b"PAR1", "a Parquet table", CONVERT),
    (b"\x08\x01\x12", "a TensorFlow model (saved_model.pb)", CONVERT),
];

/// What a file with this beginning is, and what to do about it.
pub(super) fn identify(head: &[u8]) -> Option<(String, &'static str)> {
    if let Some(&(_, what, advice)) = SIGNATURES.iter().find(|(start, ..)| head.starts_with(start)) {
        return named(what, advice);
    }
    if head.get(257..262) == Some(b"ustar") {
        return named("a tar archive", UNPACK);
    }
    if head.get(4..8) == Some(b"TFL3") {
        return named("a TensorFlow Lite model", CONVERT);
    }
    // Protocol buffers: the version of the format (3 on), then the name or version of the producer or the graph.
    if let [0x08, 3..=20, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..] = head {
        return named("an ONNX model", CONVERT);
    }
    if let [0x80, protocol @ 2..=5, ..] = head {
        return Some((
            format!("a Python pickle (protocol {protocol}) that torch.save did not write"),
            SAVE_DICT,
        ));
    }
    text(head)
}

/// What a file is that no picture and no tensors of ours are read from, in words, and what to do if that does not depend
/// on what it should have been.
#[doc(hidden)]
pub fn recognize(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("an empty file".into());
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Some("a zip archive, perhaps a model as PyTorch's .pth, which --model takes".into());
    }
    let (what, advice) = identify(&bytes[..bytes.len().min(HEAD)])?;
    Some(if ALWAYS.contains(&advice) { format!("{what}; {advice}") } else { what })
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
