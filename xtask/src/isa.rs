//! What AMD's compiler makes of the kernels, as tables in `benches/isa/`, so that a kernel that got worse is seen where there
//! is no such GPU.

mod radv;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use radv::{Radv, STATISTICS};

use crate::{Outcome, cargo, succeed};

/// RDNA 2 and 3.
const FAMILIES: [&str; 2] = ["navi21", "gfx1100"];
/// Bundled models: those with kernels of their own.
const MODELS: [&str; 2] = ["mnist", "faces-esvae"];
/// Of numbers: the driver's [`STATISTICS`], and what is counted in its listing.
const COLUMNS: [&str; 8] =
    ["VGPRs", "spilled", "LDS", "waves", "instructions", "latency", "throughput⁻¹", "inner loop"];
const DRIVER: &str = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";
/// Says to a child of this program what it is for: the kernels' folder.
const CHILD: &str = "FSVAE_ISA_KERNELS";

/// Compares `benches/isa/` with what the compiler makes now.
pub(crate) fn compare(root: &Path) -> Outcome {
    if !Path::new(DRIVER).exists() {
        println!("xtask: {DRIVER} is not there (Mesa's RADV); the kernels are not compiled");
        return Ok(());
    }
    let mut problems = Vec::new();
    for model in MODELS {
        let (path, now) = (table_path(root, model), table(root, model)?);
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
        fs::write(&path, table(root, model)?).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("xtask: wrote {}", path.display());
    }
    Ok(())
}

fn table_path(root: &Path, model: &str) -> PathBuf {
    root.join("benches/isa").join(format!("{model}.txt"))
}

/// A line of the compiler's version, a line of columns, and a line for each kernel and family.
fn table(root: &Path, model: &str) -> Result<String, String> {
    let folder = root.join("target/isa").join(model);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let folder_text = folder.to_str().ok_or("the target folder's name is not UTF-8")?;
    succeed(
        cargo(&["run", "--quiet", "--release", "--locked", "--", "info", model, "--kernels", folder_text])
            .stdout(std::process::Stdio::null()),
    )?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut table = String::new();
    for family in FAMILIES {
        // The driver reads them when it is loaded.
        let output = Command::new(&own)
            .args(["isa"])
            .env(CHILD, &folder)
            .env("RADV_FORCE_FAMILY", family)
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
    format!("{:8} {:40}{}", "family", "kernel", COLUMNS.map(|name| format!("{name:>13}")).concat())
}

/// In a child of [`table`]: the rows of one family. `None` in the program itself.
pub(crate) fn child() -> Option<Outcome> {
    std::env::var_os(CHILD).map(|folder| rows(Path::new(&folder)))
}

fn rows(folder: &Path) -> Outcome {
    let radv = Radv::open()?;
    println!("{}", radv.driver);
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let of = |error: String| format!("{}: {error}", path.display());
        let wgsl = fs::read_to_string(&path).map_err(|error| of(error.to_string()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // As `Variant::loops` has it.
        let compiled = radv.compile(&wgsl, name.ends_with("-dense")).map_err(of)?;
        debug_assert_eq!(compiled.statistics.len(), STATISTICS.len());
        let numbers = compiled.statistics.iter().copied().chain([inner_loop(&compiled.assembly)]);
        let numbers: String = numbers.map(|number| format!("{number:>13}")).collect();
        println!("{name:40}{numbers}");
    }
    Ok(())
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
    type Row<'a> = (String, Vec<u64>);
    fn rows(table: &str) -> Vec<Row<'_>> {
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let name = format!("{} {}", words.next()?, words.next()?);
            Some((name, words.map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()?))
        };
        table.lines().skip(2).filter_map(row).collect()
    }
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
            format!("Mesa 1\n{}\ngfx1100  readout  {registers} 0 0 8 100 1000 2000 {loops}\n", columns())
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
}
