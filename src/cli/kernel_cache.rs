//! Compiled kernels between runs, a file in the user's cache directory for each adapter and driver that can keep them
//! (Vulkan). `FSVAE_CACHE_DIR` names another directory; empty, it turns this off.
//!
//! The file is 32 bytes of SHA-256 and then the driver's data. A file that cannot be read, is damaged or of another
//! driver is ignored and replaced; a directory that cannot be written costs time and nothing else. If the user named it,
//! a line says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fsvae::{Gpu, wgpu};
use sha2::{Digest, Sha256};

use super::say::say;

const DIGEST: usize = 32;
const VARIABLE: &str = "FSVAE_CACHE_DIR";

/// Keeps what was compiled when it is dropped.
#[derive(Debug)]
pub(super) struct KernelCache {
    path: PathBuf,
    cache: wgpu::PipelineCache,
    found: Option<Vec<u8>>,
}

impl KernelCache {
    /// Gives a device the kernels of earlier runs, where it can take them.
    pub(super) fn attach(gpu: Gpu) -> (Gpu, Option<Self>) {
        let file = || {
            let able = gpu.device().features().contains(wgpu::Features::PIPELINE_CACHE);
            let name = wgpu::util::pipeline_cache_key(gpu.info()).filter(|_| able)?;
            Some(directory()?.join(format!("{name}_{:016x}", fingerprint(gpu.info(), "kernels"))))
        };
        let Some(path) = file() else { return (gpu, None) };
        let found = read(&path);
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("fsvae"),
            data: found.as_deref(),
            // An empty cache if the driver does not want the data.
            fallback: true,
        };
        // SAFETY: The data came from `get_data` of a cache of an adapter and driver of the same fingerprint: the digest
        // in front says that it is what was written, and wgpu and the driver check their own headers in it.
        #[expect(unsafe_code, reason = "wgpu cannot check all that a driver reads")]
        let cache = unsafe { gpu.device().create_pipeline_cache(&descriptor) };
        (gpu.with_pipeline_cache(cache.clone()), Some(KernelCache { path, cache, found }))
    }
}

impl Drop for KernelCache {
    fn drop(&mut self) {
        if let Some(data) = self.cache.get_data()
            && self.found.as_ref() != Some(&data)
        {
            keep(&self.path, &sealed(&data));
        }
    }
}

/// Where things are kept between runs, if anywhere.
pub(super) fn directory() -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        None => Some(dirs::cache_dir()?.join("fsvae")),
        Some(directory) if directory.is_empty() => None,
        Some(directory) => Some(directory.into()),
    }
}

/// One file a driver, version of this crate and thing that is kept.
pub(super) fn fingerprint(info: &wgpu::AdapterInfo, thing: &str) -> u64 {
    let version = env!("CARGO_PKG_VERSION");
    let wgpu::AdapterInfo { name, backend, driver, driver_info, .. } = info;
    let text = format!("{version}\n{name}\n{backend}\n{driver}\n{driver_info}\n{thing}");
    Sha256::digest(text).iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The data of a file that is whole.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (digest, data) = bytes.split_at_checked(DIGEST)?;
    (Sha256::digest(data)[..] == *digest).then(|| data.to_vec())
}

/// Writes a file for the next run, which computes it again if that fails.
pub(super) fn keep(path: &Path, data: &[u8]) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let failed = write(path, data).err().filter(|_| std::env::var_os(VARIABLE).is_some());
    if let Some(error) = failed.filter(|_| !SAID.swap(true, Ordering::Relaxed)) {
        let directory = path.parent().unwrap_or(path).display();
        say(format!(
            "{VARIABLE}: expected a directory that can be written to, or nothing at all, found {directory}: {error}"
        ));
    }
}

/// Writes beside, then renames.
fn write(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(data)?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}

/// The data with its digest in front.
fn sealed(data: &[u8]) -> Vec<u8> {
    [&Sha256::digest(data)[..], data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_damaged_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deeper/cache");
        write(&path, &sealed(b"kernels")).expect("written");
        assert_eq!(read(&path), Some(b"kernels".to_vec()));
        let whole = std::fs::read(&path).expect("bytes");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            std::fs::write(&path, &damaged).expect("written");
            assert_eq!(read(&path), None, "byte {at}");
            std::fs::write(&path, &whole[..at]).expect("written");
            assert_eq!(read(&path), None, "{at} bytes");
        }
        assert_eq!(read(directory.path()), None);
        assert_eq!(std::fs::read_dir(path.parent().expect("a directory")).expect("files").count(), 1);
    }
}
