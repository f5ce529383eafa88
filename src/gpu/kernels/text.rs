//! The shaders' texts. Browsers get them without what only people read, for every byte of a page is loaded by everybody.

/// The text of a file, by its path from the file that asks.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! shader {
    ($path:literal) => {
        include_str!($path)
    };
}

#[cfg(target_arch = "wasm32")]
macro_rules! shader {
    ($path:literal) => {{
        const TEXT: &[u8] = include_bytes!($path);
        const BARE: &[u8] = &{
            let mut bare = [0; $crate::gpu::kernels::text::bare(TEXT, &mut [])];
            $crate::gpu::kernels::text::bare(TEXT, &mut bare);
            bare
        };
        match std::str::from_utf8(BARE) {
            Ok(text) => text,
            Err(_) => panic!("not UTF-8"),
        }
    }};
}

pub(crate) use shader;

/// Writes a text without comments, indentation and empty lines as far as `into` has room, and tells its length.
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) const fn bare(text: &[u8], into: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    let (mut comment, mut begun) = (false, false);
    while from < text.len() {
        let byte = text[from];
        // No WGSL text has these characters in another meaning.
        comment |= byte == b'/' && from + 1 < text.len() && text[from + 1] == b'/';
        let kept;
        if byte == b'\n' {
            kept = begun;
            (comment, begun) = (false, false);
        } else {
            begun |= !comment && byte != b' ';
            kept = begun && !comment;
        }
        if kept {
            if to < into.len() {
                into[to] = byte;
            }
            to += 1;
        }
        from += 1;
    }
    to
}

#[cfg(test)]
mod tests {
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;
    use crate::gpu::kernels::{ROW, reflection::kernels};

    fn bared(text: &str) -> String {
        let mut bytes = vec![0; bare(text.as_bytes(), &mut [])];
        assert_eq!(bare(text.as_bytes(), &mut bytes), bytes.len());
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn what_people_read_is_left_out() {
        let text = "// é\n\nconst A = 1u; // one\n    fn f() {\n        return 6 / 2;\n// end\n    }\n";
        assert_eq!(bared(text), "const A = 1u; \nfn f() {\nreturn 6 / 2;\n}\n");
        assert_eq!(bared("a//b"), "a");
        assert_eq!(bared(""), "");
    }

    /// The compiler sees the same.
    #[test]
    fn kernels_are_the_same_without_it() {
        let spirv = |source: &str| {
            let module = naga::front::wgsl::parse_str(source).expect("WGSL");
            let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
            let options = naga::back::spv::Options::default();
            naga::back::spv::write_vec(&module, &info.expect("valid"), &options, None).expect("SPIR-V")
        };
        for (kernel, constants) in kernels() {
            let source = kernel.source(ROW, &constants);
            let bare = bared(&source);
            assert!(!bare.contains("//") && bare.len() < source.len(), "{}", kernel.name);
            assert_eq!(spirv(&bare), spirv(&source), "{}", kernel.name);
        }
    }
}
