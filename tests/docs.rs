//! Every document: its commands run, its links lead somewhere. No GPU is asked for: what a command makes is for other
//! tests, that it does what the page says without an error is for this one.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::TINY;
use common::command::fsvae;
use common::torch::Pth;

/// Pages whose commands another test runs.
const ELSEWHERE: [(&str, &str); 3] = [
    ("examples/sharded.md", "tests/examples.rs runs its scripts"),
    ("examples/distributed/README.md", "python/tests/test_distributed.py runs its programs"),
    ("benches/peers/README.md", "wants PyTorch; its programs are checked by tests/training"),
];

/// The programs of the Python package, which tests/training runs, and where their options are.
const TRAINING: [(&str, &str); 4] = [
    ("fsvae-train", "python/fsvae/training/options.py"),
    ("fsvae-evaluate", "python/fsvae/training/evaluate.py"),
    ("fsvae-fit-prior", "python/fsvae/training/fit_prior.py"),
    ("fsvae-compare", "python/fsvae/training/compare.py"),
];

/// What is not on every machine.
const REPLACED: [(&str, &str); 3] = [
    (" --adapter nvidia", " --backend cpu"),
    ("bench --thorough", "bench --quick"),
    ("~/.phoronix-test-suite/test-profiles/local/", ""),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the project, by its path from the root.
fn pages() -> Vec<String> {
    fn walk(folder: &Path, pages: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            // `git` and what is built are no documents; neither are hidden folders.
            if path.is_dir()
                && !name.starts_with('.')
                && !["target", "artifacts", "corpus", "node_modules", "dist", "venv"].contains(&&*name)
            {
                walk(&path, pages);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let path = path.strip_prefix(root()).expect("below the root");
                pages.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut pages = Vec::new();
    walk(root(), &mut pages);
    pages.sort_unstable();
    assert!(
        pages.contains(&"README.md".into()) && pages.contains(&"docs/command-line.md".into()),
        "{pages:?}"
    );
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).expect("a page")
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```").filter(|found| !found.is_empty()) {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if found == language {
                blocks.push(block.join("\n") + "\n");
            }
        }
    }
    blocks
}

/// The text without fenced blocks and code between backticks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let parts = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join("");
    lines.map(|line| parts(line) + "\n").collect()
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in pages() {
        let text = prose(&read(&page));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            if link.starts_with("http") {
                continue;
            }
            checked += 1;
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let folder = Path::new(&page).parent().expect("a folder");
            let target = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
            let found = root().join(&target);
            if !found.exists() {
                broken.push(format!("{page}: {link}"));
            } else if let Some(heading) = heading
                && !anchors(&fs::read_to_string(found).expect("a page")).contains(heading)
            {
                broken.push(format!("{page}: {link}: no such heading"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

/// A folder with what the documents take for granted: pictures, models, records.
fn desk() -> tempfile::TempDir {
    let desk = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| fs::write(desk.path().join(name), bytes).expect("written");
    fs::create_dir(desk.path().join("photos")).expect("a folder");
    fs::create_dir_all(desk.path().join("benches/record")).expect("a folder");
    for name in ["my-model.safetensors", "mine.safetensors"] {
        write(name, &TINY.bytes());
    }
    write("checkpoint.pth", &Pth::new(&TINY.tensors()).bytes());
    let make = |arguments: &[&str]| {
        let done = fsvae(desk.path()).args(arguments).args(["--backend", "cpu"]).output().expect("it runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    make(&["generate", "--count", "3", "--out", "photos/{index}.png"]);
    make(&["generate", "--first", "9", "--count", "1", "--out", "drawing.png"]);
    for name in ["old.json", "new.json", "theirs.json", "benches/record/2026-01-02-theirs.json"] {
        make(&["bench", "--quick", "--batch", "1", "--json", name]);
    }
    let profile = Path::new("benches/phoronix");
    fs::create_dir(desk.path().join(profile)).expect("a folder");
    copy(&root().join(profile), &desk.path().join(profile));
    desk
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))).expect("an entry");
        let target = to.join(entry.file_name().expect("a name"));
        if kind.is_dir() {
            fs::create_dir(&target).expect("a folder");
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}

/// Programs that stand in for those that a page calls: `fsvae` and `cargo run` are the command under test; what else
/// `cargo`, `pip`, `maturin`, `python` and the Python package's programs are asked for is written down, to be looked at.
fn shims(folder: &Path) -> PathBuf {
    let bin = folder.join(".bin");
    fs::create_dir(&bin).expect("a folder");
    let program = env!("CARGO_BIN_EXE_fsvae");
    // What takes minutes takes seconds here.
    let fsvae = format!(
        "case \"$*\" in bench\\ compare*|bench\\ check*|bench\\ index*|*--quick*|*--help*) ;; bench*) set -- \"$@\" --quick ;; esac\n\
         case \"$*\" in *--minutes*|*--help*) ;; verify*) set -- \"$@\" --minutes 0.02 ;; esac\n\
         exec '{program}' \"$@\""
    );
    let cargo = "case \"$*\" in 'run --release'*' -- '*) while [ \"$1\" != -- ]; do shift; done; shift; exec fsvae \"$@\";; esac\n\
                 echo \"cargo $*\" >> .asked";
    let scripts = [
        ("fsvae", fsvae),
        ("cargo", cargo.into()),
        ("pip", "echo \"pip $*\" >> .asked".into()),
        ("python", "echo \"python $*\" >> .asked".into()),
        ("maturin", "echo \"maturin $*\" >> .asked".into()),
        ("rustup", "echo \"rustup $*\" >> .asked".into()),
        ("node", "echo \"node $*\" >> .asked".into()),
        ("phoronix-test-suite", "echo \"phoronix-test-suite $*\" >> .asked".into()),
        ("git", "echo \"git $*\" >> .asked".into()),
        ("bash", "case \"$1\" in *.sh|.ci/run|fuzz/*) echo \"bash $*\" >> .asked;; *) exec /bin/bash \"$@\";; esac".into()),
    ];
    let training = TRAINING.map(|(name, _)| (name, format!("echo \"{name} $*\" >> .asked")));
    for (name, script) in scripts.into_iter().chain(training) {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    }
    bin
}

#[cfg(unix)]
#[test]
fn commands_do_what_the_pages_say() {
    let mut asked = BTreeSet::new();
    let mut ran = 0;
    let ffmpeg = Command::new("ffmpeg").arg("-version").output().is_ok();
    let laid = desk();
    for page in pages().iter().filter(|page| !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == page)) {
        let blocks = blocks(&read(page), "sh");
        if blocks.is_empty() {
            continue;
        }
        let desk = tempfile::tempdir().expect("a directory");
        copy(laid.path(), desk.path());
        let bin = shims(desk.path());
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
        for block in blocks {
            let mut script = block.clone();
            for (theirs, ours) in REPLACED {
                script = script.replace(theirs, ours);
            }
            if script.contains("ffmpeg") && !ffmpeg {
                eprintln!("no ffmpeg: not run: {block}");
                continue;
            }
            let output = Command::new("/bin/bash")
                .args(["-e", "-o", "pipefail", "-c", &script])
                .current_dir(desk.path())
                .env("PATH", &path)
                .env("FSVAE_CACHE_DIR", "")
                // No driver: the CPU makes the images, in less time than the pages would take.
                .envs([("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")])
                .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
                .env_remove("WGPU_BACKEND")
                .env_remove("WGPU_ADAPTER_NAME")
                .output()
                .expect("bash");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {}\n{block}\n{said}", output.status);
            ran += 1;
        }
        if let Ok(lines) = fs::read_to_string(desk.path().join(".asked")) {
            asked.extend(lines.lines().map(|line| (page.clone(), line.to_owned())));
        }
    }
    assert!(ran > 15, "only {ran} blocks were run");
    asked.iter().for_each(|(page, line)| can_be_asked(page, line));
}

/// What is not run here has at least files, options and names that exist.
fn can_be_asked(page: &str, line: &str) {
    let manifest = read("Cargo.toml");
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = |option: &str| words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1));
    let exists = |path: &str| assert!(root().join(path).exists(), "{page}: {line}: there is no {path}");
    let has_options = |program: &str| {
        exists(program);
        let text = read(program);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(text.contains(&format!("\"{option}\"")), "{page}: {line}: {program} has no {option}");
        }
    };
    if let Some(test) = named("--test") {
        exists(&format!("tests/{test}.rs"));
    }
    if let Some(bench) = named("--bench") {
        exists(&format!("benches/{bench}.rs"));
    }
    if let Some(example) = named("--example") {
        exists(&format!("examples/{example}.rs"));
    }
    for feature in named("--features").iter().flat_map(|list| list.split(',')) {
        assert!(
            manifest.contains(&format!("\n{feature} = ")),
            "{page}: {line}: there is no feature {feature}"
        );
    }
    match words[..] {
        ["cargo" | "git" | "rustup", ..] => {}
        ["maturin", ..] => exists(named("-m").expect("a manifest")),
        ["pip", "install", "-r", file, ..] | ["bash", file, ..] => exists(file),
        ["pip", "install", ..] => {}
        ["node", program, ..] => exists(program),
        ["python", "-m", "pytest", folder, ..] => exists(folder),
        // What the line before it has copied.
        ["phoronix-test-suite", "benchmark", profile] => assert_eq!(profile, "local/fsvae"),
        ["python", program, ..] => has_options(program),
        [name, ..] => match TRAINING.iter().find(|(program, _)| *program == name) {
            Some((_, options)) => has_options(options),
            None => panic!("{page}: nothing checks: {line}"),
        },
        [] => {}
    }
}
