//! What naga finds in the kernels is in a check, too; programs are whole and short.

use std::collections::{BTreeMap, BTreeSet};

use naga::proc::TypeResolution;
use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Block, Expression, Function, Module, Statement, TypeInner};

use super::super::{Wrong, case, names, program};
use crate::gpu::kernels::reflection;

fn parsed(source: &str, name: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string_with_path(source, name)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    (module, info)
}

/// The operations of a function, with the types that they are of.
fn operations(module: &Module, function: &Function, info: &FunctionInfo) -> BTreeSet<String> {
    let inner = |resolution: &TypeResolution| resolution.inner_with(&module.types).clone();
    let ty = |expression: naga::Handle<Expression>| match inner(&info[expression].ty) {
        TypeInner::Scalar(scalar) => format!("{:?}", scalar.kind),
        TypeInner::Vector { scalar, .. } => format!("vec of {:?}", scalar.kind),
        TypeInner::Pointer { base, space } => {
            let of =
                if matches!(module.types[base].inner, TypeInner::Vector { .. }) { "vec" } else { "array" };
            format!("{of} in {}", space_name(space))
        }
        TypeInner::ValuePointer { space, .. } => format!("vec in {}", space_name(space)),
        TypeInner::Array { .. } => "array".into(),
        other => format!("{other:?}"),
    };
    let mut found = BTreeSet::new();
    for (_, expression) in function.expressions.iter() {
        let name = match *expression {
            Expression::Binary { op, left, right } => {
                format!("{op:?} of {}, {}", ty(left), ty(right))
            }
            Expression::Unary { op, expr } => format!("{op:?} of {}", ty(expr)),
            Expression::Math { fun, arg, .. } => format!("{fun:?} of {}", ty(arg)),
            Expression::Select { accept, .. } => format!("select of {}", ty(accept)),
            Expression::As { expr, kind, convert } => format!("{} to {kind:?} ({convert:?})", ty(expr)),
            Expression::Relational { fun, argument } => format!("{fun:?} of {}", ty(argument)),
            Expression::Access { base, .. } => format!("dynamic index of {}", ty(base)),
            Expression::Splat { value, .. } => format!("vector of one {}", ty(value)),
            Expression::ArrayLength(_) => "arrayLength".into(),
            _ => continue,
        };
        found.insert(name);
    }
    statements(&function.body, &mut |statement| {
        let name = match statement {
            Statement::Loop { .. } => "loop".into(),
            Statement::Switch { .. } => "switch".into(),
            Statement::Atomic { pointer, fun, .. } => format!("atomic {fun:?} of {}", ty(*pointer)),
            Statement::ControlBarrier(barrier) => format!("barrier {barrier:?}"),
            Statement::MemoryBarrier(barrier) => format!("memory barrier {barrier:?}"),
            Statement::ImageStore { .. } => "textureStore".into(),
            _ => return,
        };
        found.insert(name.replace("array in", "word in"));
    });
    found
}

/// A variable of a function and one that a pointer leads to are the same memory.
fn space_name(space: AddressSpace) -> String {
    match space {
        AddressSpace::Storage { .. } => "Storage".into(),
        other => format!("{other:?}"),
    }
}

fn statements(block: &Block, visit: &mut impl FnMut(&Statement)) {
    for statement in block {
        visit(statement);
        match statement {
            Statement::Block(block) => statements(block, visit),
            Statement::If { accept, reject, .. } => {
                statements(accept, visit);
                statements(reject, visit);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| statements(&case.body, visit)),
            Statement::Loop { body, continuing, .. } => {
                statements(body, visit);
                statements(continuing, visit);
            }
            _ => {}
        }
    }
}

#[test]
fn every_operation_of_the_kernels_has_a_check() {
    let mut checked: BTreeSet<String> = BTreeSet::new();
    for case in case::all() {
        let (module, info) = parsed(&program::module(std::slice::from_ref(&case)), case.operation);
        // What the entry point around a check does is no check, but for the store of a texel.
        for (handle, function) in module.functions.iter() {
            if function.name.as_ref().is_some_and(|name| name.starts_with("check")) {
                checked.extend(operations(&module, function, &info[handle]));
            }
        }
        let entry = operations(&module, &module.entry_points[0].function, info.get_entry_point(0));
        checked.extend(entry.into_iter().filter(|name| name == "textureStore"));
    }
    let mut used: BTreeMap<String, &str> = BTreeMap::new();
    for (kernel, constants) in reflection::kernels() {
        let (module, info) = reflection::validated(kernel, &constants);
        let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
        let entry = (&module.entry_points[0].function, info.get_entry_point(0));
        for (function, info) in functions.chain([entry]) {
            used.extend(operations(&module, function, info).into_iter().map(|name| (name, kernel.name)));
        }
    }
    let missing: Vec<_> = used.iter().filter(|(name, _)| !checked.contains(*name)).collect();
    assert!(missing.is_empty(), "no check has what these kernels do: {missing:#?}");
    assert!(used.len() > 50, "naga finds {} operations", used.len());
}

#[test]
fn programs_are_whole_and_short() {
    for case in case::all() {
        let wrong = Wrong {
            inputs: vec![u32::MAX; if case.kind() == case::Kind::Groups { 2 } else { 3 }],
            at: 127,
            expected: 0,
            found: 1,
            words: 1 << 20,
        };
        for alone in [0, 1, 2] {
            let program = program::program(&case, &wrong, alone);
            parsed(&program, case.operation);
            assert!(program.lines().count() <= 30, "{} lines:\n{program}", program.lines().count());
            assert!(program.contains("must be 0x00000000, found 0x00000001"), "{program}");
            assert!(program.lines().all(|line| line.len() <= 200), "{program}");
        }
    }
}

#[test]
fn names_are_of_one_operation_each() {
    let names = names();
    let set: BTreeSet<_> = names.iter().collect();
    assert_eq!(set.len(), names.len(), "the forms of an operation are neighbours");
}
