//! The command line with the models that its features bring: one, several or none.

mod common;

use common::command::{assert_refused, fsvae};
use fsvae::{Checkpoint, bundled};

const FEATURES: &str =
    "mnist, fashion, faces, faces-esvae, mnist-esvae, fashion-esvae, cifar10-esvae, thumbs-esvae and bundled";

#[test]
fn the_first_model_that_is_there_is_the_default() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| fsvae(directory.path()).args(arguments).output().expect("it runs");
    let generate = ["generate", "--count", "1", "--digests", "--backend", "cpu"];
    let help = String::from_utf8(run(&["generate", "--help"]).stdout).expect("UTF-8");
    match bundled::MODELS.first() {
        Some((name, _)) => {
            let default = run(&generate);
            assert!(default.status.success(), "{default:?}");
            assert_eq!(default.stdout, run(&[&generate[..], &["--model", name]].concat()).stdout);
            assert!(help.contains(&format!("[default: {name}]")), "{help}");
        }
        None => {
            for arguments in [&generate[..], &["encode", "x.png", "--out", "z"], &["devices"], &["bench"]] {
                assert_refused(
                    &run(arguments),
                    2,
                    &["--model PATH is needed", FEATURES],
                    directory.path(),
                    &[],
                );
            }
            assert!(help.contains(FEATURES) && !help.contains("[default: mnist]"), "{help}");
        }
    }
}

#[test]
fn a_model_whose_feature_is_off_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    for feature in bundled::FEATURES {
        let there = bundled::MODELS.iter().any(|(name, _)| name == feature);
        assert_eq!(there, Checkpoint::bundled(feature).is_some());
        let output = fsvae(directory.path()).args(["info", feature]).output().expect("it runs");
        match there {
            true => assert!(output.status.success(), "{output:?}"),
            false => assert_refused(
                &output,
                2,
                &[feature, "nor a bundled model", &bundled::names()],
                directory.path(),
                &[],
            ),
        }
    }
}

/// Builds with debug assertions check what commands are made of when they are used; CI runs this in one.
#[test]
fn every_command_explains_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let help = |commands: &[&str]| {
        let output = fsvae(directory.path()).args(commands).arg("--help").output().expect("it runs");
        assert!(output.status.success(), "{commands:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let below = |text: &str| -> Vec<String> {
        let listed = text.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = listed.lines().take_while(|line| !line.is_empty());
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names.filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
    };
    let commands = below(&help(&[]));
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        for nested in below(&help(&[command])).iter().filter(|nested| *nested != "help") {
            help(&[command, nested]);
        }
    }
}
