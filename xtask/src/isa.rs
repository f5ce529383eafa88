//! What AMD's compiler makes of the kernels, as tables in `benches/isa/`, so that a kernel that got worse is seen where there
//! is no such GPU.

mod radv;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use radv::{Kernel, Radv, STATISTICS};

use crate::{Outcome, cargo, succeed};

/// RDNA 2 and 3.
const FAMILIES: [&str; 2] = ["navi21", "gfx1100"];
/// Bundled models: those with kernels of their own.
const MODELS: [&str; 2] = ["mnist", "faces-esvae"];
/// Of numbers: the driver's [`STATISTICS`], and what is counted in its listing.
const COLUMNS: [&str; 8] =
    ["VGPRs", "spilled", "LDS", "waves", "instructions", "latency", "throughput⁻¹", "inner loop"];
const DRIVER: &str = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";
/// Names the command line, where one is built already: with tests beside it its dependencies have other features, so that
/// Cargo would build another.
const PROGRAM: &str = "FSVAE_PROGRAM";
/// Says to a child of this program what it is for: the kernels' folder; the table of before; the family.
const CHILD: &str = "FSVAE_ISA_KERNELS";
const BEFORE: &str = "FSVAE_ISA_BEFORE";
const FAMILY: &str = "RADV_FORCE_FAMILY";

/// Compares `benches/isa/` with what the compiler makes now. A kernel whose SPIR-V has not changed is not compiled again: it
/// takes minutes, and the same version makes the same of it.
pub(crate) fn compare(root: &Path) -> Outcome {
    if !Path::new(DRIVER).exists() {
        println!("xtask: {DRIVER} is not there (Mesa's RADV); the kernels are not compiled");
        return Ok(());
    }
    let mut problems = Vec::new();
    for model in MODELS {
        let path = table_path(root, model);
        let now = table(root, model, Some(&path))?;
        let was = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if was.lines().next() != now.lines().next() {
            let of = |table: &str| table.lines().next().unwrap_or_default().to_owned();
            println!(
                "xtask: {}: is of \"{}\", not of \"{}\": not compared",
                path.display(),
                of(&was),
                of(&now)
            );
            continue;
        }
        problems.extend(differences(&was, &now).into_iter().map(|it| format!("{}: {it}", path.display())));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nIf that is meant: cargo xtask isa --update", problems.join("\n")))
}

pub(crate) fn update(root: &Path) -> Outcome {
    for model in MODELS {
        let path = table_path(root, model);
        fs::write(&path, table(root, model, None)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("xtask: wrote {}", path.display());
    }
    Ok(())
}

fn table_path(root: &Path, model: &str) -> PathBuf {
    root.join("benches/isa").join(format!("{model}.txt"))
}

/// A line of the compiler's version, a line of columns, and a line for each kernel and family; those of the same SPIR-V are
/// taken from the table of `before`.
fn table(root: &Path, model: &str, before: Option<&Path>) -> Result<String, String> {
    let folder = root.join("target/isa").join(model);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let folder_text = folder.to_str().ok_or("the target folder's name is not UTF-8")?;
    let mut program = match std::env::var_os(PROGRAM) {
        Some(path) => Command::new(root.join(path)),
        None => cargo(&["run", "--quiet", "--release", "--locked", "--"]),
    };
    let arguments = ["info", model, "--kernels", folder_text];
    succeed(program.args(arguments).stdout(std::process::Stdio::null()))?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut table = String::new();
    for family in FAMILIES {
        // The driver reads them when it is loaded.
        let output = Command::new(&own)
            .args(["isa"])
            .env(CHILD, &folder)
            .env(BEFORE, before.unwrap_or(Path::new("")))
            .env(FAMILY, family)
            .env("RADV_DEBUG", "nocache")
            .env("VK_DRIVER_FILES", DRIVER)
            .env("VK_ICD_FILENAMES", DRIVER)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{family}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (head, rows) = text.split_once('\n').ok_or("the child said nothing")?;
        if table.is_empty() {
            table = format!("{head}\n{}\n", columns());
        }
        for row in rows.lines() {
            table.push_str(&format!("{family:8} {row}\n"));
        }
    }
    Ok(table)
}

fn columns() -> String {
    let numbers = COLUMNS.map(|name| format!("{name:>13}")).concat();
    format!("{:8} {:40}{numbers} {:>12}", "family", "kernel", "SPIR-V")
}

/// In a child of [`table`]: the rows of one family. `None` in the program itself.
pub(crate) fn child() -> Option<Outcome> {
    std::env::var_os(CHILD).map(|folder| rows(Path::new(&folder)))
}

fn rows(folder: &Path) -> Outcome {
    let radv = Radv::open()?;
    println!("{}", radv.driver);
    let before = std::env::var_os(BEFORE).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let family = std::env::var(FAMILY).unwrap_or_default();
    let mut known = known(&before, &radv.driver, &family);
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let of = |error: String| format!("{}: {error}", path.display());
        let wgsl = fs::read_to_string(&path).map_err(|error| of(error.to_string()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // As `Variant::loops` has it.
        let kernel = Kernel::new(&wgsl, name.ends_with("-dense")).map_err(of)?;
        let digest = kernel.digest();
        if !known.contains_key(&digest) {
            let compiled = radv.compile(&kernel).map_err(of)?;
            debug_assert_eq!(compiled.statistics.len(), STATISTICS.len());
            let numbers = compiled.statistics.iter().copied().chain([inner_loop(&compiled.assembly)]);
            known.insert(digest.clone(), numbers.collect());
        }
        let numbers: String = known[&digest].iter().map(|number| format!("{number:>13}")).collect();
        println!("{name:40}{numbers} {digest}");
    }
    Ok(())
}

/// Numbers by the digest of the SPIR-V that they are of, where the table is of this driver.
fn known(table: &str, driver: &str, family: &str) -> HashMap<String, Vec<u64>> {
    if table.lines().next() != Some(driver) {
        return HashMap::new();
    }
    let row = |row: Row| (row.family == family).then_some((row.digest, row.numbers));
    table.lines().filter_map(Row::read).filter_map(row).collect()
}

/// A line of a table.
struct Row {
    family: String,
    kernel: String,
    numbers: Vec<u64>,
    digest: String,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [family, kernel, ref numbers @ .., digest] = words[..] else { return None };
        let numbers = numbers.iter().map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()?;
        (numbers.len() == COLUMNS.len()).then(|| Self {
            family: family.into(),
            kernel: kernel.into(),
            numbers,
            digest: digest.into(),
        })
    }
}

/// Vector instructions of the longest loop that has no other inside it.
fn inner_loop(assembly: &str) -> u64 {
    let lines: Vec<&str> = assembly.lines().map(str::trim).collect();
    let label = |line: &str| line.strip_suffix(':').filter(|name| name.starts_with("BB")).map(str::to_owned);
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for (end, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [operation, target, ..] = words[..] else { continue };
        if !operation.starts_with("s_cbranch") && operation != "s_branch" {
            continue;
        }
        let begin = lines[..end].iter().position(|line| label(line).as_deref() == Some(target));
        loops.extend(begin.map(|begin| (begin, end)));
    }
    let innermost = loops
        .iter()
        .filter(|(begin, end)| !loops.iter().any(|(b, e)| (b, e) != (begin, end) && b >= begin && e <= end));
    let vector = |&(begin, end): &(usize, usize)| {
        lines[begin..end].iter().filter(|line| line.starts_with("v_")).count() as u64
    };
    innermost.map(vector).max().unwrap_or(0)
}

/// Kernels that are new or gone, and numbers that moved by more than a twentieth (and more than 2).
fn differences(was: &str, now: &str) -> Vec<String> {
    let rows = |table: &str| -> Vec<(String, Vec<u64>)> {
        let named = |row: Row| (format!("{} {}", row.family, row.kernel), row.numbers);
        table.lines().filter_map(Row::read).map(named).collect()
    };
    let (was, now) = (rows(was), rows(now));
    let mut found = Vec::new();
    for (name, before) in &was {
        let Some((_, after)) = now.iter().find(|(other, _)| other == name) else {
            found.push(format!("{name} is gone"));
            continue;
        };
        for ((column, &before), &after) in COLUMNS.iter().zip(before).zip(after) {
            if before.abs_diff(after) > 2.max(before / 20) {
                found.push(format!("{name}: {column} was {before}, is {after}"));
            }
        }
    }
    let new = now.iter().filter(|(name, _)| was.iter().all(|(other, _)| other != name));
    found.extend(new.map(|(name, _)| format!("{name} is new")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSEMBLY: &str = "BB0:\n  s_mov_b32 s0, 0\nBB1:\n  v_add_u32 v0, v0, v1\nBB2:\n  v_add_u32 v0, v0, v1\n  \
        v_or_b32 v0, v0, v1\n  s_cbranch_scc1 BB2\n  v_add_u32 v0, v0, v1\n  s_cbranch_vccz BB3\n  s_branch BB1\nBB3:\n  s_endpgm";

    #[test]
    fn the_inner_loop_is_the_one_without_another() {
        assert_eq!(inner_loop(ASSEMBLY), 2);
        assert_eq!(inner_loop("BB0:\n  v_add_u32 v0, v0, v1\n  s_endpgm"), 0);
    }

    #[test]
    fn a_kernel_that_got_worse_is_named() {
        let table = |registers: u64, loops: u64| {
            format!("Mesa 1\n{}\ngfx1100  readout  {registers} 0 0 8 100 1000 2000 {loops} 00ff\n", columns())
        };
        assert_eq!(differences(&table(72, 40), &table(74, 38)), [""; 0]);
        assert_eq!(differences(&table(72, 40), &table(76, 40)), ["gfx1100 readout: VGPRs was 72, is 76"]);
        assert_eq!(
            differences(&table(72, 100), &table(72, 94)),
            ["gfx1100 readout: inner loop was 100, is 94"]
        );
        let other = table(72, 40).replace("readout", "rgba");
        let expected = ["gfx1100 readout is gone", "gfx1100 rgba is new"];
        assert_eq!(differences(&table(72, 40), &other), expected);
    }

    #[test]
    fn numbers_are_known_of_the_same_driver_family_and_spirv() {
        let row =
            |family: &str, digest: &str| format!("{family} readout 72 0 0 8 100 1000 2000 40 {digest}\n");
        let table = format!("Mesa 1\n{}\n{}{}", columns(), row("gfx1100", "00ff"), row("navi21", "11ff"));
        let expected = HashMap::from([("00ff".to_owned(), vec![72, 0, 0, 8, 100, 1000, 2000, 40])]);
        assert_eq!(known(&table, "Mesa 1", "gfx1100"), expected);
        assert!(known(&table, "Mesa 2", "gfx1100").is_empty());
        // Tables of before had no digests.
        assert!(
            known("Mesa 1\n\ngfx1100 readout 72 0 0 8 100 1000 2000 40\n", "Mesa 1", "gfx1100").is_empty()
        );
    }

    #[test]
    fn another_kernel_has_another_digest() {
        let digest = |size: u32, counted| {
            let wgsl = format!(
                "@group(0) @binding(0) var<storage, read_write> to: array<u32>;\n@compute @workgroup_size({size})
                fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                    for (var i = 0u; i < to[0]; i++) {{ to[id.x] += i; }}
                }}"
            );
            Kernel::new(&wgsl, counted).expect("a kernel").digest()
        };
        assert_eq!(digest(64, false), digest(64, false));
        assert_ne!(digest(64, false), digest(32, false));
        assert_ne!(digest(64, false), digest(64, true));
        assert_eq!(digest(64, false).len(), 12);
    }
}
