// From reset to Rust. Every CPU starts here in EL1 with the MMU off: the first one from QEMU, the others from PSCI
// CPU_ON with their number in x0.

.set OFFSET,    0xffff000000000000
.set NORMAL,    0x701           // block: valid, AttrIndx 0, inner shareable, AF
.set DEVICE,    0x60000000000405 // block: valid, AttrIndx 1, AF, never executed (PXN, UXN)
.set TABLE,     3

.section .boot, "ax"
.global start
start:
    mov     x0, #0
.global start_secondary
start_secondary:
    mov     x19, x0
    // No floating point is used by the kernel or its user programs; it stays trapped.
    // MAIR: 0 is write-back memory, 1 is a device (nGnRE).
    mov     x1, #0x04ff
    msr     mair_el1, x1
    // Setup that the backend requires: see `tlbc_backends::arm64::Hardware::new`.
    adrp    x1, boot_tcr
    add     x1, x1, :lo12:boot_tcr
    ldr     x1, [x1]
    msr     tcr_el1, x1
    adrp    x1, boot_identity
    msr     ttbr0_el1, x1
    adrp    x1, kernel_top
    msr     ttbr1_el1, x1
    dsb     ish
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     ish
    isb
    mrs     x1, sctlr_el1
    mov     x2, #0x1005             // M, C, I
    orr     x1, x1, x2
    msr     sctlr_el1, x1
    isb
    ldr     x1, =start_upper
    br      x1

.text
start_upper:
    ldr     x1, =vectors
    msr     vbar_el1, x1
    msr     tpidr_el1, x19          // the CPU's number
    ldr     x1, =stacks
    add     x2, x19, #1
    lsl     x2, x2, #16
    add     sp, x1, x2
    mov     x0, x19
    isb
    bl      {start_rust}
1:  wfe
    b       1b

.section .data
.balign 8
// A1 (the ASID is TTBR1's), TG1 and TG0 4 KiB, SH 3, ORGN and IRGN 1, T0SZ and T1SZ 16, IPS 40 bits, AS.
.global boot_tcr
boot_tcr:
    .quad (2 << 32) | (1 << 36) | (2 << 30) | (3 << 28) | (1 << 26) | (1 << 24) | (1 << 22) | (16 << 16) | (3 << 12) | (1 << 10) | (1 << 8) | 16

.balign 4096
.global boot_identity
boot_identity:
    .quad   boot_identity_1 - OFFSET + TABLE
    .zero   4096 - 8
boot_identity_1:
    .quad   0, 0x40000000 + NORMAL
    .zero   4096 - 16

// What the upper half maps: the first GiB is devices, the second one memory. The kernel is mapped writable and
// executable as a whole; protecting it from itself is not what this example is about.
.global kernel_top
kernel_top:
    .quad   kernel_1 - OFFSET + TABLE
    .zero   4096 - 8
.global kernel_1
kernel_1:
    .quad   DEVICE, 0x40000000 + NORMAL
    .zero   4096 - 16

.section .bss
.balign 4096
.global stacks
stacks:
    .zero   4 << 16
