// From the firmware to Rust. Every CPU starts here in supervisor mode with satp 0: the first one with its hart ID in a0 and the
// address of the device tree in a1, the others with their number in a1 (SBI, HSM).

.set MEMORY,    0x80000000
.set LEAF,      0xef            // V, R, W, X, G, A, D
.set TABLE,     1               // V

.section .boot, "ax"
.global start
start:
    // The first CPU that comes here starts the kernel, which starts the others; others may come here by mistake
    // (`sbi.rs`).
    lla     t0, is_started
    li      t1, 1
    .option push
    .option arch, +a
    amoswap.w.aq t1, t1, (t0)
    .option pop
    bnez    t1, stop
    lla     t0, boot_hart
    sd      a0, (t0)
    lla     t0, boot_device_tree
    sd      a1, (t0)
    // The last entry of the top table: the kernel.
    lla     t0, kernel_1
    srli    t0, t0, 2
    ori     t0, t0, TABLE
    lla     t1, kernel_top + 511 * 8
    sd      t0, (t1)
    li      a1, 0
.global start_secondary
start_secondary:
    mv      s0, a1
    // When satp is written the next fetch faults, because the physical address is not mapped. The trap vector is.
    lla     t0, boot_upper
    ld      t0, (t0)
    csrw    stvec, t0
    lla     t0, kernel_top
    srli    t0, t0, 12
    li      t1, 9 << 60         // Sv48
    or      t0, t0, t1
    sfence.vma
    csrw    satp, t0
    unimp

stop:
    li      a7, 0x48534d        // SBI, HSM: hart_stop
    li      a6, 1
    ecall
    j       stop

.text
.balign 4
start_upper:
    lla     t0, kernel_trap_entry
    csrw    stvec, t0
    // Interrupts are off, there is no floating point, and the kernel does not use the addresses of user code.
    csrw    sie, zero
    csrw    sstatus, zero
    lla     tp, {entries}
    slli    t0, s0, {entry_shift}
    add     tp, tp, t0
    lla     sp, stacks
    addi    t0, s0, 1
    slli    t0, t0, 16
    add     sp, sp, t0
    mv      a0, s0
    call    {start_rust}
1:  wfi
    j       1b

.section .data
.balign 8
.global boot_hart
boot_hart:
    .quad   0
.global boot_device_tree
boot_device_tree:
    .quad   0
boot_upper:
    .quad   start_upper
is_started:
    .quad   0

// What a CPU loads that runs in no user space, and the entries of the kernel in the top table of every space.
.balign 4096
.global kernel_top
kernel_top:
    .zero   4096
// What the last entry maps: the first GiB is devices, the third one memory. The kernel is mapped writable and executable as a
// whole; protecting it from itself is not what this example is about.
kernel_1:
    .quad   LEAF, 0, (MEMORY >> 2) + LEAF
    .zero   4096 - 24

.section .bss
.balign 4096
stacks:
    .zero   4 << 16
