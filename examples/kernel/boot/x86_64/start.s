// From reset to Rust. The first CPU starts at `start`, in 32-bit protected mode (PVH); the others at `trampoline`, in
// real mode (INIT-SIPI), and follow it from `long_mode` on.

.set OFFSET, 0xffffffff80000000
.set MEMORY, 0x83               // 2 MiB page: present, writable
.set DEVICE, 0x9b               // the same, uncacheable
.set TABLE, 0x3

.section .note.pvh, "a", @note
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

.section .boot, "awx"
.code32
.global start
start:
    cli
    cld
    lgdt    boot_gdt_pointer
    ljmp    0x18, offset long_mode

.code16
.global trampoline
.global trampoline_end
trampoline:
    cli
    xor     ax, ax
    mov     ds, ax
    lgdtd   [TRAMPOLINE_GDT]
    mov     eax, cr0
    or      al, 1
    mov     cr0, eax
    .byte   0x66, 0xea          // ljmp 0x18:long_mode, with a 32-bit offset
    .long   long_mode
    .word   0x18
.balign 8
trampoline_gdt:
    .word   boot_gdt_end - boot_gdt - 1
    .long   boot_gdt
trampoline_end:
// Where it is copied to.
.set TRAMPOLINE_GDT, 0x8000 + (trampoline_gdt - trampoline)

.code32
long_mode:
    mov     ax, 0x10
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     eax, cr4
    or      eax, 0x20           // PAE
    mov     cr4, eax
    mov     eax, offset boot_top
    mov     cr3, eax
    mov     ecx, 0xc0000080     // EFER: LME, NXE
    rdmsr
    or      eax, 0x900
    wrmsr
    mov     eax, cr0
    or      eax, 0x80010001     // PG, WP, PE
    mov     cr0, eax
    ljmp    0x08, offset lower

.code64
lower:
    mov     rax, offset start_upper
    jmp     rax

.balign 8
boot_gdt:
    .quad   0
    .quad   0x00af9a000000ffff  // 0x08: 64-bit code
    .quad   0x00cf92000000ffff  // 0x10: data
    .quad   0x00cf9a000000ffff  // 0x18: 32-bit code
boot_gdt_end:
boot_gdt_pointer:
    .word   boot_gdt_end - boot_gdt - 1
    .long   boot_gdt

// What is loaded until `Mmu::cpu_online`: the first GiB where it is, and where the kernel has it.
.balign 4096
boot_top:
    .quad   boot_low + TABLE
    .zero   510 * 8
    .quad   kernel_1 - OFFSET + TABLE
boot_low:
    .quad   kernel_memory - OFFSET + TABLE
    .zero   511 * 8

.text
start_upper:
    // The number of a CPU is its initial APIC ID.
    mov     eax, 1
    cpuid
    shr     ebx, 24
    mov     edi, ebx
    mov     rax, offset stacks
    lea     ecx, [rbx + 1]
    shl     rcx, 16
    lea     rsp, [rax + rcx]
    call    {start_rust}
1:  hlt
    jmp     1b

// What the kernel's part of every top table maps: the first GiB of memory and, at their physical address in the uppermost
// GiB, devices. The kernel is mapped writable and executable as a whole; protecting it from itself is not what this
// example is about.
.section .data
.balign 4096
.global kernel_1
kernel_1:
    .zero   510 * 8
    .quad   kernel_memory - OFFSET + TABLE
    .quad   kernel_devices - OFFSET + TABLE
.global kernel_memory
kernel_memory:
    .set    i, 0
    .rept   512
    .quad   (i << 21) + MEMORY
    .set    i, i + 1
    .endr
.global kernel_devices
kernel_devices:
    .set    i, 0
    .rept   512
    .quad   0xc0000000 + (i << 21) + DEVICE
    .set    i, i + 1
    .endr

.section .bss
.balign 4096
.global stacks
stacks:
    .zero   4 << 16
