// Exceptions and interrupts, and the way to user code and back. All of this is mapped in both views.
//
// On an exception from user code the processor pushes its frame where the TSS says: at the end of `Entry::regs` of the
// CPU (see mod.rs). What the way back to the kernel needs before the kernel's view is loaded is there.

.set ENTRY_KERNEL_ROOT, 0
.set ENTRY_USER_ROOT, 8
.set ENTRY_KERNEL_SP, 16
.set ENTRY_REGS, 32

.section .entry.text, "ax"
// One stub a vector, 16 bytes each: those without an error code push a 0.
.balign 16
.global vectors
vectors:
    .set    vector, 0
    .rept   256
    .balign 16
    .if     vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .else
    push    0
    .endif
    push    vector
    jmp     trap
    .set    vector, vector + 1
    .endr

.balign 16
trap:
    push    rax
    push    rbx
    push    rcx
    push    rdx
    push    rbp
    push    rsi
    push    rdi
    push    r8
    push    r9
    push    r10
    push    r11
    push    r12
    push    r13
    push    r14
    push    r15
    cld
    test    byte ptr [rsp + 18 * 8], 3  // the code selector
    jnz     from_user
    // Of the kernel: on the kernel's stack, in the kernel's view.
    mov     rdi, rsp
    call    {kernel_trap}
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rdi
    pop     rsi
    pop     rbp
    pop     rdx
    pop     rcx
    pop     rbx
    pop     rax
    add     rsp, 16
    iretq

from_user:
    lea     rdi, [rsp - ENTRY_REGS]
    // The kernel's view, where it is another one: what `Mmu::enter_from_user_through` recorded.
    mov     rax, [rdi + ENTRY_KERNEL_ROOT]
    test    rax, rax
    jz      1f
    mov     cr3, rax
1:  mov     rsp, [rdi + ENTRY_KERNEL_SP]
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

// enter_user(entry): runs user code from the registers in the entry until it comes back to the kernel.
.global enter_user
enter_user:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [rdi + ENTRY_KERNEL_SP], rsp
    lea     rsp, [rdi + ENTRY_REGS]
    // The user's view, where it is another one: what `Mmu::return_to_user` issued.
    mov     rax, [rdi + ENTRY_USER_ROOT]
    test    rax, rax
    jz      1f
    mov     cr3, rax
1:  pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rdi
    pop     rsi
    pop     rbp
    pop     rdx
    pop     rcx
    pop     rbx
    pop     rax
    add     rsp, 16
    iretq
