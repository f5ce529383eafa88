//! No shader stores through a dynamic index into a vector: Direct3D's older compiler, FXC, refuses that in loops that it
//! does not unroll (X3500), and translating alone does not show it.

use naga::proc::TypeResolution;
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{Block, Expression, Function, Handle, Module, Statement, TypeInner};

use super::reflection::{kernels, validated};

/// Statements of a block and of all blocks in it.
fn walk<'b>(block: &'b Block, found: &mut Vec<&'b Statement>) {
    for statement in block {
        found.push(statement);
        match statement {
            Statement::Block(block) => walk(block, found),
            Statement::If { accept, reject, .. } => {
                [accept, reject].into_iter().for_each(|block| walk(block, found));
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| walk(&case.body, found)),
            Statement::Loop { body, continuing, .. } => {
                [body, continuing].into_iter().for_each(|block| walk(block, found));
            }
            _ => {}
        }
    }
}

/// True where a pointer is to a component of a vector, one that is not known before the shader runs.
fn is_into_a_vector(
    module: &Module,
    function: &Function,
    info: &FunctionInfo,
    pointer: Handle<Expression>,
) -> bool {
    let Expression::Access { base, .. } = function.expressions[pointer] else { return false };
    let inner = |ty: &TypeResolution| match ty.inner_with(&module.types) {
        TypeInner::Pointer { base, .. } => matches!(module.types[*base].inner, TypeInner::Vector { .. }),
        TypeInner::ValuePointer { size, .. } => size.is_some(),
        _ => false,
    };
    inner(&info[base].ty)
}

/// How many such stores a module has.
fn stores(module: &Module, info: &ModuleInfo) -> usize {
    let entries =
        (0..).zip(&module.entry_points).map(|(at, entry)| (&entry.function, info.get_entry_point(at)));
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let of = |(function, info): (&Function, &FunctionInfo)| {
        let mut statements = Vec::new();
        walk(&function.body, &mut statements);
        let is_store = |statement: &&&Statement| match statement {
            Statement::Store { pointer, .. } | Statement::Atomic { pointer, .. } => {
                is_into_a_vector(module, function, info, *pointer)
            }
            _ => false,
        };
        statements.iter().filter(is_store).count()
    };
    entries.chain(functions).map(of).sum()
}

#[test]
fn a_store_into_a_vector_is_found() {
    let count = |body: &str| {
        let text = format!(
            "var<workgroup> shared_words: array<vec4<u32>, 4>;\n\
             @group(0) @binding(0) var<storage, read_write> words: array<vec4<u32>>;\n\
             fn helper(n: u32) {{ var local = vec4(0u); for (var i = 0u; i < n; i++) {{ {body} }} words[0] = local; }}\n\
             @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ helper(id.x); }}"
        );
        let module = naga::front::wgsl::parse_str(&text).expect("WGSL");
        let flags = naga::valid::ValidationFlags::all();
        let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty()).validate(&module);
        stores(&module, &info.expect("valid"))
    };
    for body in [
        "local[i % 4u] = 1u;",
        "if i > 2u { local[i] += 1u; }",
        "switch i { case 1u: { local[i] = 1u; } default: {} }",
        "shared_words[i % 4u][i % 4u] = 1u;",
        "words[i][n] = 1u;",
    ] {
        assert_eq!(count(body), 1, "{body}");
    }
    for body in
        ["local[2] = 1u;", "local.x = local[i % 4u];", "words[i].y = 1u;", "shared_words[i % 4u] = local;"]
    {
        assert_eq!(count(body), 0, "{body}");
    }
}

#[test]
fn no_kernel_stores_into_a_vector_by_an_index() {
    for (kernel, constants) in kernels() {
        let (module, info) = validated(kernel, &constants);
        assert_eq!(stores(&module, &info), 0, "{}, {constants:?}", kernel.name);
    }
}
