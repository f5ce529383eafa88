//! The C interface: its header against the code, and C programs that are compiled with `cc`, linked with both
//! libraries, and run as they are, under valgrind and with AddressSanitizer.
//!
//! What is skipped for want of a tool is said on standard error; with `FSVAE_REQUIRE_CAPI_TOOLS=1` it is an error.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use common::rows::{Row, inputs, models, runs};
use common::{adapters, digest};
use fsvae::Network;
use fsvae::gpu::describe;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = include_str!("../include/fsvae.h");
const PROGRAMS: [(&str, &str); 6] = [
    ("generate", include_str!("capi/generate.c")),
    ("later", include_str!("capi/later.c")),
    ("misuse", include_str!("capi/misuse.c")),
    ("reconstruct", include_str!("capi/reconstruct.c")),
    ("rows", include_str!("capi/rows.c")),
    ("threads", include_str!("capi/threads.c")),
];
/// What the header is made from.
const SOURCES: [(&str, &str); 2] = [
    ("src/capi.rs", include_str!("../src/capi.rs")),
    ("src/capi/later.rs", include_str!("../src/capi/later.rs")),
];
/// All conformance rows.
const ALL: usize = usize::MAX;

/// A file of a bundled model.
fn model() -> PathBuf {
    static MODEL: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist.safetensors");
        std::fs::write(&path, fsvae::bundled::MODELS[0].1).expect("written");
        path
    });
    MODEL.clone()
}

/// The model's conformance rows.
fn rows() -> impl Iterator<Item = Row> {
    common::rows::rows().into_iter().filter(|row| row.model == fsvae::bundled::MODELS[0].0)
}

/// The first `most` conformance rows of generation.
fn generated(most: usize) -> Vec<Row> {
    rows().filter(Row::is_generated).take(most).collect()
}

/// Both libraries, and what the static one is to be linked with.
struct Libraries {
    directory: PathBuf,
    system: Vec<String>,
}

/// Built as the header says, in the profile and the target directory of the tests.
static LIBRARIES: LazyLock<Libraries> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a directory above");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).args(["rustc", "--locked", "--lib", "--features", "capi"]);
    cargo.args(["--crate-type", "cdylib,staticlib", "--message-format", "json", "--target-dir"]).arg(target);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.args(["--", "--print", "native-static-libs"]).stderr(Stdio::inherit());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stdout));
    let (mut directory, mut system) = (None, Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("a message");
        if message["reason"] == "compiler-artifact" && message["target"]["name"] == "fsvae" {
            let file = message["filenames"][0].as_str().expect("a file");
            directory = Path::new(file).parent().map(Into::into);
        }
        let text = message["message"]["message"].as_str().unwrap_or_default();
        if let Some(libraries) = text.strip_prefix("native-static-libs: ") {
            system = libraries.split_whitespace().map(Into::into).collect();
        }
    }
    Libraries { directory: directory.expect("cargo names the libraries"), system }
});

#[derive(Clone, Copy, Debug)]
enum Link {
    Shared,
    Static,
}

/// False where a tool is missing, which is said.
fn has(tool: &str, check: &mut Command) -> bool {
    let check = check.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let works = check.status().is_ok_and(|status| status.success());
    if !works {
        let required = std::env::var("FSVAE_REQUIRE_CAPI_TOOLS").is_ok_and(|value| value == "1");
        assert!(!required, "FSVAE_REQUIRE_CAPI_TOOLS=1, and {tool} does not work: {check:?}");
        eprintln!("{tool} does not work here: its checks of the C interface are skipped");
    }
    works
}

fn cc() -> Command {
    Command::new(std::env::var_os("CC").unwrap_or("cc".into()))
}

/// The compiler is spoken to in the Unix way.
fn has_cc() -> bool {
    if cfg!(not(unix)) {
        eprintln!("not a Unix system: checks of the C interface are skipped");
    }
    cfg!(unix) && has("cc", cc().arg("--version"))
}

fn strict(compiler: &mut Command) -> &mut Command {
    compiler.args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]).arg(Path::new(ROOT).join("include"))
}

/// A C program of `tests/capi`, compiled and linked.
fn compile(name: &str, link: Link, options: &[&str], directory: &Path) -> PathBuf {
    let Libraries { directory: libraries, system } = &*LIBRARIES;
    let program = directory.join(name);
    let mut cc = cc();
    strict(&mut cc).args(["-std=c99", "-g", "-O1", "-pthread"]).args(options);
    cc.arg(Path::new(ROOT).join(format!("tests/capi/{name}.c"))).arg("-o").arg(&program);
    match link {
        Link::Shared => {
            cc.arg("-L").arg(libraries).arg("-lfsvae");
            cc.arg(format!("-Wl,-rpath,{}", libraries.display()));
        }
        Link::Static => {
            cc.arg(libraries.join("libfsvae.a")).args(system);
        }
    }
    let Output { status, stderr, .. } = cc.output().expect("cc runs");
    assert!(status.success(), "{cc:?}: {}", String::from_utf8_lossy(&stderr));
    program
}

/// How a program is run: as it is, or by valgrind.
type Run = fn(&Path) -> Command;

/// Without the variables that choose an adapter.
fn plain(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("WGPU_BACKEND").env_remove("WGPU_ADAPTER_NAME");
    command
}

/// What a program says on standard output, and on standard error.
fn said(command: &mut Command, input: &[u8], code: i32) -> (Vec<u8>, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let messages = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{command:?}: {status}: {messages}");
    (stdout, messages)
}

/// Generates the images of the first `most` conformance rows with the C program; what it said about them.
fn check_images(program: &Path, run: Run, most: usize, backend: &[&str]) -> String {
    let mut said_of_all = String::new();
    for run_of_rows in runs(&generated(most).iter().collect::<Vec<_>>()) {
        let Row { seed, index, .. } = *run_of_rows[0];
        let mut command = run(program);
        command.arg(model()).args([seed, index, run_of_rows.len() as u64].map(|number| number.to_string()));
        let (pixels, messages) = said(command.args(backend), &[], 0);
        let found: Vec<String> = pixels.chunks(32 * 32).map(digest).collect();
        let expected: Vec<&str> = run_of_rows.iter().map(|row| row.digest).collect();
        assert_eq!(found, expected, "{command:?}: {messages}");
        said_of_all += &messages;
    }
    said_of_all
}

/// Runs all programs on the CPU: the same images as in the conformance rows, and every misuse refused.
fn check_all(link: Link, options: &[&str], run: Run, most: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let compiled = |name| compile(name, link, options, directory.path());

    let generate = compiled("generate");
    let messages = check_images(&generate, run, most, &["cpu"]);
    assert!(messages.contains("generate: 32 x 32 pixels of 1 channels, on CPU\n"), "{messages}");
    assert!(!messages.contains("since"), "{messages}");
    let refused = |arguments: [&str; 4], text: &str| {
        let (pixels, messages) = said(run(&generate).args(arguments), &[], 2);
        assert!(pixels.is_empty() && messages.contains(text), "{messages}");
    };
    refused(["no-such-file", "7", "0", "1"], "generate: no-such-file: cannot read it: ");
    let path = model().display().to_string();
    let last = u64::MAX.to_string();
    refused([&path, "7", &last, "2"], &format!("generate: 2 images from index {last} on pass {last}"));

    let (_, messages) = said(run(&compiled("misuse")).arg(model()), &[], 0);
    assert!(messages.contains("all as the header says"), "{messages}");

    let Row { seed, index, digest: expected, .. } =
        rows().find(|row| row.task == "reconstruct:uniform37").expect("a row");
    let mut reconstruct = run(&compiled("reconstruct"));
    let (pixels, _) = said(
        reconstruct.arg(model()).args([seed, index].map(|number| number.to_string())),
        &[37; 32 * 32],
        0,
    );
    assert_eq!(digest(&pixels), expected);

    said(run(&compiled("threads")).arg(model()), &[], 0);
    said(run(&compiled("later")).arg(model()), &[], 0);
}

#[test]
fn the_header_is_of_this_code() {
    let root = Path::new(ROOT);
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("a configuration");
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = SOURCES.iter().fold(builder, |builder, (path, _)| builder.with_src(root.join(path)));
    let mut header = Vec::new();
    builder.generate().expect("a header").write(&mut header);
    let header = String::from_utf8(header).expect("UTF-8");
    if std::env::var_os("FSVAE_WRITE_HEADER").is_some() {
        std::fs::write(root.join("include/fsvae.h"), header).expect("it is written");
        return;
    }
    for (at, (found, expected)) in HEADER.lines().zip(header.lines()).enumerate() {
        let line = at + 1;
        assert_eq!(found, expected, "include/fsvae.h, line {line}, is out of date; {UPDATE}");
    }
    assert_eq!(HEADER.len(), header.len(), "include/fsvae.h is out of date; {UPDATE}");
}

const UPDATE: &str = "write it anew with \
    `FSVAE_WRITE_HEADER=1 cargo test --release --features capi --test capi the_header_is`";

#[test]
fn c_programs_call_every_function_of_the_header() {
    let functions: Vec<&str> = HEADER
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#']))
        .filter_map(|line| line.split('(').next()?.split([' ', '*']).find(|word| word.starts_with("fsvae_")))
        .collect();
    let declared: usize = SOURCES.iter().map(|(_, text)| text.matches("#[unsafe(no_mangle)]").count()).sum();
    assert_eq!(functions.len(), declared);
    for function in functions {
        let called = |(_, text): &(&str, &str)| text.contains(&format!("{function}("));
        assert!(PROGRAMS.iter().any(called), "no program of tests/capi calls {function}");
    }
}

/// As C++ and as the newest C of the compiler, the header alone.
#[test]
fn the_header_compiles_in_other_languages() {
    for (language, standard) in [("c++", "c++11"), ("c++", "c++20"), ("c", "c11"), ("c", "c2x")] {
        let options = ["-x", language, &format!("-std={standard}"), "-fsyntax-only", "-"];
        if has_cc() && has(&format!("cc {}", options.join(" ")), cc().args(options)) {
            let mut compiler = cc();
            strict(&mut compiler).args(["-Wundef", "-include", "fsvae.h"]).args(options);
            said(&mut compiler, b"int main(void) { return 0; }\n", 0);
        }
    }
}

#[test]
fn with_the_shared_library() {
    if has_cc() {
        check_all(Link::Shared, &[], plain, ALL);
    }
}

#[test]
fn with_the_static_library() {
    if has_cc() {
        check_all(Link::Static, &[], plain, ALL);
    }
}

/// `auto`, and each adapter by its name.
#[test]
fn on_gpus() {
    if !has_cc() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let generate = compile("generate", Link::Shared, &[], directory.path());
    let messages = check_images(&generate, plain, ALL, &["auto"]);
    assert_eq!(messages.contains("on CPU\n"), messages.contains("generate: on the CPU since "), "{messages}");
    for adapter in adapters() {
        let name = describe(&adapter.get_info());
        let messages = check_images(&generate, plain, 2, &["gpu", &name]);
        assert!(messages.contains(&format!("on {name}\n")), "{messages}");
    }
    let later = compile("later", Link::Shared, &[], directory.path());
    let backends: &[&str] = if adapters().is_empty() { &["auto"] } else { &["auto", "gpu"] };
    for backend in backends {
        said(plain(&later).arg(model()).arg(backend), &[], 0);
    }
    let misuse = compile("misuse", Link::Shared, &[], directory.path());
    said(plain(&misuse).arg(model()).arg("adapters"), &[], 0);
}

/// What `rows.c` is to do: jobs of the rows, in which `later` says of each whether it is awaited.
fn calls(jobs: &[Vec<&Row>], network: &Network, later: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut calls = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        let when = if later(at) { "later" } else { "now" };
        let what = if job[0].is_generated() { "generate" } else { "reconstruct" };
        let Row { seed, index, .. } = job[0];
        writeln!(calls, "{when} {what} {seed} {index} {}", job.len()).expect("memory");
        calls.extend(inputs(job, network));
    }
    calls
}

/// Makes rows of a model by a program's calls.
fn check_rows(
    program: &Path,
    (name, network): (&str, &Network),
    rows: &[&Row],
    later: impl Fn(usize) -> bool,
    backend: &[&str],
) {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |file| directory.path().join(file);
    std::fs::write(at("calls"), calls(&runs(rows), network, later)).expect("written");
    std::fs::write(at("model"), common::models::bytes(name)).expect("written");
    let mut command = plain(program);
    let (pixels, messages) = said(command.args([at("calls"), at("model")]).args(backend), &[], 0);
    let place = backend.last().expect("a backend").to_uppercase();
    assert!(messages.to_uppercase().contains(&format!("ROWS: ON {place}\n")), "{messages}");
    let bytes = network.architecture().image_bytes();
    assert_eq!(pixels.len(), rows.len() * bytes, "{command:?}");
    for (row, image) in rows.iter().zip(pixels.chunks(bytes)) {
        row.check(image, None, &format!("{}, from C", backend.join(" ")));
    }
}

/// All rows of all models, waited for and awaited.
#[test]
fn rows_from_c_on_the_cpu() {
    if !has_cc() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = compile("rows", Link::Shared, &[], directory.path());
    for (name, network, rows) in &models() {
        let rows: Vec<&Row> = rows.iter().collect();
        for later in [false, true] {
            check_rows(&program, (name, network), &rows, |_| later, &["cpu"]);
        }
    }
}

/// Every model on every adapter. The adapters take turns with the rows, SwiftShader, which interprets, at every seventh; and
/// every other call is awaited.
#[test]
fn rows_from_c_on_gpus() {
    if !has_cc() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = compile("rows", Link::Shared, &[], directory.path());
    let names: Vec<String> = adapters().iter().map(|adapter| describe(&adapter.get_info())).collect();
    let turns_of = |adapter: usize| if names[adapter].contains("SwiftShader") { 1 } else { 3 };
    let turns: Vec<usize> = (0..names.len()).flat_map(|it| std::iter::repeat_n(it, turns_of(it))).collect();
    let models = models();
    for (turn, adapter) in names.iter().enumerate() {
        for (model, (name, network, rows)) in models.iter().enumerate() {
            let is_due = |at: usize| turns[(at + model) % turns.len()] == turn;
            let rows: Vec<&Row> = (0..).zip(rows).filter(|(at, _)| is_due(*at)).map(|(_, row)| row).collect();
            check_rows(&program, (name, network), &rows, |call| call % 2 == turn % 2, &["gpu", adapter]);
        }
    }
}

fn valgrind(program: &Path) -> Command {
    let mut command = plain(Path::new("valgrind"));
    let suppressions = format!("--suppressions={ROOT}/tests/capi/valgrind.supp");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", &suppressions]).arg(program);
    command
}

#[test]
fn clean_under_valgrind() {
    if has_cc() && has("valgrind", Command::new("valgrind").arg("--version")) {
        check_all(Link::Shared, &[], valgrind, 2);
    }
}

/// Its leak checker sees what the library allocates, too, and its copies into the callers' buffers.
#[test]
fn clean_with_address_sanitizer() {
    const SANITIZE: &str = "-fsanitize=address";
    let directory = tempfile::tempdir().expect("a directory");
    let (source, program) = (directory.path().join("empty.c"), directory.path().join("empty"));
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("it is written");
    // On some systems it compiles and does not run.
    if has_cc()
        && has("cc -fsanitize=address", cc().arg(SANITIZE).arg(&source).arg("-o").arg(&program))
        && has("AddressSanitizer", &mut Command::new(&program))
    {
        check_all(Link::Shared, &[SANITIZE], plain, ALL);
    }
}
