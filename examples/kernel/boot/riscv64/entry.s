// Traps, and the way to user code and back. In the kernel tp points at the CPU's `Entry` (see user.rs), and stvec names
// kernel_trap_entry. While user code runs sscratch points at the `Entry`, and stvec names user_trap_entry.

.set ENTRY_KERNEL_SP, 8
.set ENTRY_PC, 16
.set ENTRY_X, 24                // x1 is the first
.set SPP, 1 << 8
.set SPIE, 1 << 5

// Executes an instruction for the register of each number but 4, which is tp, and its place in the `Entry`.
.macro each_register instruction
    .irp number, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \instruction x\number, (ENTRY_X + 8 * (\number - 1))(tp)
    .endr
.endm

// Executes an instruction for each register that a function must keep, and its place on the stack.
.macro each_kept instruction
    \instruction ra, 0(sp)
    \instruction gp, 8(sp)
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \instruction s\number, (16 + 8 * \number)(sp)
    .endr
.endm

// Executes an instruction for each register that a function may change, and its place on the stack.
.macro each_changed instruction
    \instruction ra, 0(sp)
    .irp number, 0, 1, 2, 3, 4, 5, 6
    \instruction t\number, (8 + 8 * \number)(sp)
    .endr
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    \instruction a\number, (64 + 8 * \number)(sp)
    .endr
.endm

.text
// enter_user(): runs user code from the registers in the `Entry` until it comes back to the kernel. Interrupts are off.
.global enter_user
enter_user:
    addi    sp, sp, -112
    each_kept sd
    sd      sp, ENTRY_KERNEL_SP(tp)
    lla     t0, user_trap_entry
    csrw    stvec, t0
    csrw    sscratch, tp
    ld      t0, ENTRY_PC(tp)
    csrw    sepc, t0
    li      t0, SPP
    csrc    sstatus, t0         // to user mode,
    li      t0, SPIE
    csrs    sstatus, t0         // with interrupts on
    each_register ld
    ld      tp, (ENTRY_X + 8 * 3)(tp)
    sret

.balign 4
user_trap_entry:
    csrrw   tp, sscratch, tp
    each_register sd
    csrr    t0, sscratch
    sd      t0, (ENTRY_X + 8 * 3)(tp)
    csrr    t0, sepc
    sd      t0, ENTRY_PC(tp)
    lla     t0, kernel_trap_entry
    csrw    stvec, t0
    ld      sp, ENTRY_KERNEL_SP(tp)
    each_kept ld
    addi    sp, sp, 112
    ret

// A trap of the kernel. Interrupts stay off, so sepc and sstatus stay what they are.
.balign 4
.global kernel_trap_entry
kernel_trap_entry:
    addi    sp, sp, -128
    each_changed sd
    call    {kernel_trap}
    each_changed ld
    addi    sp, sp, 128
    sret
