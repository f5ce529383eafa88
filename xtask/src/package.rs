//! The crates as they would be published: small enough for the registry, without large files that are no weights, whole,
//! and documented by docs.rs without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, cargo, succeed};

/// What crates.io takes.
const LARGEST_CRATE: u64 = 10 << 20;
/// Tests' data, pictures and records of measurements stay below.
const LARGEST_FILE: u64 = 1_000_000;

struct Package {
    name: String,
    version: String,
    docs: Value,
}

impl Package {
    fn archive(&self, packages: &Path) -> PathBuf {
        packages.join(format!("{}-{}.crate", self.name, self.version))
    }

    fn folder(&self, unpacked: &Path) -> PathBuf {
        unpacked.join(format!("{}-{}", self.name, self.version))
    }
}

pub(crate) fn check(root: &Path) -> Outcome {
    let (packages, unpacked) = (root.join("target/package"), root.join("target/docs-rs/crates"));
    succeed(&mut cargo(&[
        "package",
        "--quiet",
        "--workspace",
        "--exclude",
        "xtask",
        "--no-verify",
        "--allow-dirty",
    ]))?;
    let published = published()?;
    let mut problems = Vec::new();
    for package in &published {
        problems.extend(sizes(&package.archive(&packages))?);
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    }
    fs::create_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    for package in &published {
        succeed(Command::new("tar").arg("-xzf").arg(package.archive(&packages)).arg("-C").arg(&unpacked))?;
    }
    for package in &published {
        for features in [&[][..], &["--all-features"]] {
            succeed(packaged("check", package, &published, &unpacked).args(features))?;
        }
        document(package, &published, &unpacked)?;
    }
    Ok(())
}

/// The members of the workspace that are published.
fn published() -> Result<Vec<Package>, String> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]).output();
    let metadata = metadata.map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value =
        serde_json::from_slice(&metadata.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let packages =
        metadata["packages"].as_array().into_iter().flatten().filter(|package| package["publish"].is_null());
    let packages: Vec<Package> = packages
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            docs: package["metadata"]["docs"]["rs"].clone(),
        })
        .collect();
    if packages.is_empty() {
        Err("cargo metadata lists no package that is published".into())
    } else {
        Ok(packages)
    }
}

/// Prints the size of a crate and of its largest file; what is too large.
fn sizes(archive: &Path) -> Result<Vec<String>, String> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let size = fs::metadata(archive).map_err(|error| format!("{}: {error}", archive.display()))?;
    let listed = Command::new("tar").arg("-tzvf").arg(archive).output();
    let listed = listed.map_err(|error| format!("tar: {error}"))?;
    // Mode, owner, size, date, time, name.
    let files: Vec<(u64, String)> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.nth(2)?.parse().ok()?, fields.nth(2)?.to_string()))
        })
        .collect();
    let Some((largest, place)) = files.iter().max() else { return Err(format!("{name}: tar lists nothing")) };
    println!("{name}: {} bytes, {} files, the largest {place}: {largest}", size.len(), files.len());
    let mut problems = Vec::new();
    if size.len() > LARGEST_CRATE {
        problems.push(format!("{name}: {} bytes, at most {LARGEST_CRATE} are taken", size.len()));
    }
    // Weights are what a model's crate is for, one file in each; no other crate has any.
    let weights = |place: &str| {
        let (folder, file) = place.split_once('/').unwrap_or_default();
        file.strip_suffix(".safetensors").is_some_and(|model| folder.starts_with(&format!("fsvae-{model}-")))
    };
    let large = files.iter().filter(|(size, place)| *size > LARGEST_FILE && !weights(place));
    problems.extend(
        large.map(|(size, place)| {
            format!("{name}: {place} has {size} bytes, at most {LARGEST_FILE} are right")
        }),
    );
    Ok(problems)
}

/// A command of cargo for a packaged crate, offline; the other crates of the workspace come from their packages, as
/// nothing of them needs to be on the registry yet. The profile and the folder are those of the other checks, so that
/// dependencies are there already.
fn packaged(command: &str, package: &Package, published: &[Package], unpacked: &Path) -> Command {
    let mut cargo = cargo(&[command, "--quiet", "--release", "--offline", "--target-dir", "target"]);
    cargo.arg("--manifest-path").arg(package.folder(unpacked).join("Cargo.toml"));
    for other in published.iter().filter(|other| other.name != package.name) {
        let place = other.folder(unpacked);
        cargo.arg("--config").arg(format!(
            "patch.crates-io.{}.path={:?}",
            other.name,
            place.display().to_string()
        ));
    }
    cargo
}

/// Builds the documentation of a packaged crate with what it asks docs.rs for.
fn document(package: &Package, published: &[Package], unpacked: &Path) -> Outcome {
    let mut doc = packaged("doc", package, published, unpacked);
    doc.env("RUSTDOCFLAGS", "-D warnings").arg("--no-deps");
    if package.docs["all-features"] == true {
        doc.arg("--all-features");
    }
    succeed(&mut doc)?;
    println!("{}: documented offline", package.name);
    Ok(())
}
