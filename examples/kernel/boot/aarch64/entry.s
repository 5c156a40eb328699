// Exceptions, and the way to user code and back. All of this is mapped in both views.
//
// While user code runs sp_el1 points at the CPU's `Entry` (see mod.rs): what an exception from user code needs before the
// kernel's view is loaded is there.

.set ENTRY_KERNEL_ROOT, 0
.set ENTRY_USER_ROOT, 8
.set ENTRY_KERNEL_SP, 16
.set ENTRY_CAUSE, 24
.set ENTRY_REGS, 32

.section .entry.text, "ax"
.balign 2048
.global vectors
vectors:
    // From EL1 with SP_EL0: never.
    .rept 4
    .balign 128
    b       .
    .endr
    // From EL1.
    .balign 128
    b       kernel_fault_entry
    .balign 128
    b       kernel_interrupt_entry
    .balign 128
    b       .
    .balign 128
    b       kernel_fault_entry
    // From EL0.
    .balign 128
    stp     x0, x1, [sp, #ENTRY_REGS]
    mov     x0, #0
    b       from_user
    .balign 128
    stp     x0, x1, [sp, #ENTRY_REGS]
    mov     x0, #1
    b       from_user
    .balign 128
    b       .
    .balign 128
    b       .
    // From EL0 in AArch32: never.
    .rept 4
    .balign 128
    b       .
    .endr

.balign 128
from_user:
    str     x0, [sp, #ENTRY_CAUSE]
    stp     x2, x3, [sp, #ENTRY_REGS + 16]
    stp     x4, x5, [sp, #ENTRY_REGS + 32]
    stp     x6, x7, [sp, #ENTRY_REGS + 48]
    stp     x8, x9, [sp, #ENTRY_REGS + 64]
    stp     x10, x11, [sp, #ENTRY_REGS + 80]
    stp     x12, x13, [sp, #ENTRY_REGS + 96]
    stp     x14, x15, [sp, #ENTRY_REGS + 112]
    stp     x16, x17, [sp, #ENTRY_REGS + 128]
    stp     x18, x19, [sp, #ENTRY_REGS + 144]
    stp     x20, x21, [sp, #ENTRY_REGS + 160]
    stp     x22, x23, [sp, #ENTRY_REGS + 176]
    stp     x24, x25, [sp, #ENTRY_REGS + 192]
    stp     x26, x27, [sp, #ENTRY_REGS + 208]
    stp     x28, x29, [sp, #ENTRY_REGS + 224]
    mrs     x0, sp_el0
    stp     x30, x0, [sp, #ENTRY_REGS + 240]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x0, x1, [sp, #ENTRY_REGS + 256]
    // The kernel's view, where it is another one: what `Mmu::enter_from_user_through` recorded.
    mov     x0, sp
    ldr     x1, [x0, #ENTRY_KERNEL_ROOT]
    cbz     x1, 1f
    msr     ttbr1_el1, x1
    isb
1:  ldr     x1, [x0, #ENTRY_KERNEL_SP]
    mov     sp, x1
    ldp     x19, x20, [sp], #16
    ldp     x21, x22, [sp], #16
    ldp     x23, x24, [sp], #16
    ldp     x25, x26, [sp], #16
    ldp     x27, x28, [sp], #16
    ldp     x29, x30, [sp], #16
    ret

// enter_user(entry): runs user code from the registers in the entry until it comes back to the kernel.
.global enter_user
enter_user:
    stp     x29, x30, [sp, #-16]!
    stp     x27, x28, [sp, #-16]!
    stp     x25, x26, [sp, #-16]!
    stp     x23, x24, [sp, #-16]!
    stp     x21, x22, [sp, #-16]!
    stp     x19, x20, [sp, #-16]!
    mov     x1, sp
    str     x1, [x0, #ENTRY_KERNEL_SP]
    mov     sp, x0
    ldp     x0, x1, [sp, #ENTRY_REGS + 256]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x30, x0, [sp, #ENTRY_REGS + 240]
    msr     sp_el0, x0
    // The user's view, where it is another one: what `Mmu::return_to_user` issued. The eret synchronises it.
    ldr     x1, [sp, #ENTRY_USER_ROOT]
    cbz     x1, 1f
    msr     ttbr1_el1, x1
    isb
1:  ldp     x2, x3, [sp, #ENTRY_REGS + 16]
    ldp     x4, x5, [sp, #ENTRY_REGS + 32]
    ldp     x6, x7, [sp, #ENTRY_REGS + 48]
    ldp     x8, x9, [sp, #ENTRY_REGS + 64]
    ldp     x10, x11, [sp, #ENTRY_REGS + 80]
    ldp     x12, x13, [sp, #ENTRY_REGS + 96]
    ldp     x14, x15, [sp, #ENTRY_REGS + 112]
    ldp     x16, x17, [sp, #ENTRY_REGS + 128]
    ldp     x18, x19, [sp, #ENTRY_REGS + 144]
    ldp     x20, x21, [sp, #ENTRY_REGS + 160]
    ldp     x22, x23, [sp, #ENTRY_REGS + 176]
    ldp     x24, x25, [sp, #ENTRY_REGS + 192]
    ldp     x26, x27, [sp, #ENTRY_REGS + 208]
    ldp     x28, x29, [sp, #ENTRY_REGS + 224]
    ldp     x0, x1, [sp, #ENTRY_REGS]
    eret

.text
// An interrupt of the kernel: what Rust code may change is saved on the kernel's stack.
kernel_interrupt_entry:
    sub     sp, sp, #192
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el1
    stp     x30, x0, [sp, #160]
    mrs     x0, spsr_el1
    str     x0, [sp, #176]
    bl      {kernel_interrupt}
    ldr     x0, [sp, #176]
    msr     spsr_el1, x0
    ldp     x30, x0, [sp, #160]
    msr     elr_el1, x0
    ldp     x18, x29, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #192
    eret

kernel_fault_entry:
    mrs     x0, esr_el1
    mrs     x1, far_el1
    mrs     x2, elr_el1
    bl      {kernel_fault}
